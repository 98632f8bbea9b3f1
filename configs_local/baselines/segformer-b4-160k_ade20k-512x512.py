"""SegFormer-B4 on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/segformer-b4-160k_ade20k-512x512.py 8

61.4 M parameters. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203).
"""

_base_ = './segformer-b1-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        num_layers=[3, 8, 27, 3],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b4_20220624-d588d980.pth',
        ),
    )
)
