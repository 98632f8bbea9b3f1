"""CamVid, 11 classes, whole frames of 360x480, global batch 8; ``test_dataloader`` is the test split."""

_base_ = './common.py'

data_root = 'data/camvid'
num_classes = 11
crop_size = (360, 480)
image_scale = (480, 360)
sizes = dict(crop_size=crop_size, scale=image_scale)

train_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.train_pipeline]
test_pipeline = [{k: sizes.get(k, v) for k, v in step.items()} for step in _base_.test_pipeline]

train_dataloader = dict(
    global_batch_size=8,
    dataset=dict(
        type='CamVidDataset',
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='CamVidDataset',
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(
    dataset=dict(
        type='CamVidDataset',
        data_prefix=dict(img_path='images/test', seg_map_path='annotations/test'),
        pipeline=test_pipeline,
    )
)
