"""What the dataset recipes share: augmentation, test pipeline, loaders and metric.

The sizes are those of ADE20K and COCO-Stuff. A recipe with other sizes puts them into these pipelines, as
ade20k_640x640.py does.
"""

crop_size = (512, 512)  # height, width of a training sample
image_scale = (2048, 512)  # (a, b): longer side at most a, shorter side at most b, keeping the ratio

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=image_scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='AlignResize', scale=image_scale, size_divisor=32),
    dict(type='LoadAnnotations'),  # after the resize: label maps keep their own size
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    global_batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
