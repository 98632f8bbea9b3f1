"""SegFormer-B0 on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/segformer-b0-160k_ade20k-512x512.py 8

3.75 M parameters. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203).
"""

_base_ = [
    '../_base_/models/segformer.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth',
        ),
    ),
    decode_head=dict(num_classes=_base_.num_classes),
)
optim_wrapper = dict(clip_grad=None)
