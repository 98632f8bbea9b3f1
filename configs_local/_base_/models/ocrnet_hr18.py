"""OCRNet on HRNet-W18, pretrained on ImageNet-1K. A leaf gives both heads their number of classes."""

_base_ = './segmentor.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
maps = dict(in_index=[0, 1, 2, 3], input_transform='resize_concat')
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    backbone=dict(
        type='HRNet',
        norm_cfg=norm_cfg,
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=[4], num_channels=[64]),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=[4] * 2, num_channels=[18, 36]),
            stage3=dict(num_modules=4, num_branches=3, block='BASIC', num_blocks=[4] * 3, num_channels=[18, 36, 72]),
            stage4=dict(
                num_modules=3, num_branches=4, block='BASIC', num_blocks=[4] * 4, num_channels=[18, 36, 72, 144]
            ),
        ),
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w18'),
    ),
    decode_head=[
        dict(
            type='FCNHead',
            channels=270,
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0,
            norm_cfg=norm_cfg,
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4),
            **maps,
        ),
        dict(type='OCRHead', channels=512, ocr_channels=256, dropout_ratio=0, norm_cfg=norm_cfg, **maps),
    ],
)
