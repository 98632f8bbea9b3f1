"""ADE20K with crops of 640x640, and images 1.25 times as large as in ade20k.py."""

_base_ = './ade20k.py'

crop_size = (640, 640)
image_scale = (2560, 640)
sizes = dict(crop_size=crop_size, scale=image_scale)

train_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.train_pipeline]
test_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.test_pipeline]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
