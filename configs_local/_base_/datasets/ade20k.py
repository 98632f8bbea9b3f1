"""ADE20K, 150 classes, crops of 512x512, global batch 16."""

_base_ = './common.py'

data_root = 'data/ade/ADEChallengeData2016'
num_classes = 150

train_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset',
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset',
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
    )
)
test_dataloader = val_dataloader
