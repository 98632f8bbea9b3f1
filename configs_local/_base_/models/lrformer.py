"""LRFormer-T with LRHead, from scratch.

Every width and depth follows from ``variant``: the head takes its channels from the backbone. The number
of classes and the size to pad to are facts of the dataset's file, to which a leaf links them
(``_base_.num_classes``, ``_base_.crop_size``).
"""

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
    ),
    backbone=dict(type='LRFormer', variant='t', drop_path_rate=0.1),
    decode_head=dict(
        type='LRHead',
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
