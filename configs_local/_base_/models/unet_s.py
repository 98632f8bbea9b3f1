"""A UNet of LRFormer-N's size, from scratch: a quarter of the published channels. Sides must be multiples of 16."""

_base_ = './segmentor.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=16)),
    backbone=dict(type='UNet', base_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_index=4, channels=16, num_convs=1, concat_input=False, dropout_ratio=0.1, norm_cfg=norm_cfg
    ),
)
