"""What all segmentors share: how images get to the network, and one pass over the whole image in tests.

The number of classes and the size to pad to are facts of the dataset's file, to which a leaf links them
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
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
