"""ADE20K for LRFormer+: the shorter side drawn from 16 lengths, and test images padded rather than stretched."""

_base_ = './ade20k.py'

crop_size = (512, 512)
image_scale = (2048, 512)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoiceResize',
        resize_type='ResizeShortestEdge',
        scales=[crop_size[0] * tenths // 10 for tenths in range(5, 21)],
        max_size=image_scale[0],
    ),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    dict(type='LoadAnnotations'),  # after the resize: label maps keep their own size
    dict(type='PackSegInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
