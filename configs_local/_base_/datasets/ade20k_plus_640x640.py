"""ade20k_plus_512x512.py with crops of 640x640, and images 1.25 times as large."""

_base_ = './ade20k_plus_512x512.py'

crop_size = (640, 640)
image_scale = (2560, 640)
sizes = dict(
    crop_size=crop_size,
    scale=image_scale,
    scales=[crop_size[0] * tenths // 10 for tenths in range(5, 21)],
    max_size=image_scale[0],
)

train_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.train_pipeline]
test_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.test_pipeline]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
