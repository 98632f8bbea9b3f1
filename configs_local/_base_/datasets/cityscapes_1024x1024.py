"""Cityscapes, 19 classes, crops of 1024x1024, global batch 8; tested on whole images of 1024x2048."""

_base_ = './common.py'

data_root = 'data/cityscapes'
num_classes = 19
crop_size = (1024, 1024)
image_scale = (2048, 1024)
sizes = dict(crop_size=crop_size, scale=image_scale)

train_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.train_pipeline]
test_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.test_pipeline]

train_dataloader = dict(
    global_batch_size=8,
    dataset=dict(
        type='CityscapesDataset',
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
