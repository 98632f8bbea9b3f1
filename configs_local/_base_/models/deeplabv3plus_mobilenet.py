"""DeepLabV3+ on timm's MobileNetV3-Large at stride 16, from scratch."""

_base_ = './segmentor.py'

model = dict(
    backbone=dict(
        type='TIMMBackbone',
        model_name='mobilenetv3_large_100',
        pretrained=False,
        output_stride=16,
        out_indices=(1, 2, 3, 4),
    ),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_index=3,
        channels=128,
        dilations=(1, 6, 12, 18),
        c1_in_channels=24,
        c1_channels=48,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
)
