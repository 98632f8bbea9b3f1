"""LRFormer-T with LRHead, from scratch.

Every width and depth follows from ``variant``: the head takes its channels from the backbone.
"""

_base_ = './segmentor.py'

model = dict(
    backbone=dict(type='LRFormer', variant='t', drop_path_rate=0.1),
    decode_head=dict(
        type='LRHead',
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
