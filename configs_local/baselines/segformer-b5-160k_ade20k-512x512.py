"""SegFormer-B5 on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/segformer-b5-160k_ade20k-512x512.py 8

82.0 M parameters. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203).
"""

_base_ = './segformer-b1-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        num_layers=[3, 6, 40, 3],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b5_20220624-658746d9.pth',
        ),
    )
)
