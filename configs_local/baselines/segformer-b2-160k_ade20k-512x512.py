"""SegFormer-B2 on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/segformer-b2-160k_ade20k-512x512.py 8

24.8 M parameters. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203).
"""

_base_ = './segformer-b1-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        num_layers=[3, 4, 6, 3],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b2_20220624-66e8bf70.pth',
        ),
    )
)
