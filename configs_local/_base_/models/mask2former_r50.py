"""Mask2Former on a ResNet-50, pretrained on ImageNet-1K."""

_base_ = './segmentor.py'

model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    decode_head=dict(type='Mask2FormerHead'),
)
