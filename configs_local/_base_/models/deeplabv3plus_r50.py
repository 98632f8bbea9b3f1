"""DeepLabV3+ on a ResNet-50 dilated to stride 8, pretrained on ImageNet-1K."""

_base_ = './upernet_r50.py'

model = dict(
    backbone=dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_index=3,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
    ),
)
