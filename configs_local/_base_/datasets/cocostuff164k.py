"""COCO-Stuff 164K, 171 classes, crops of 512x512, global batch 16."""

_base_ = './common.py'

data_root = 'data/coco_stuff164k'
num_classes = 171

train_dataloader = dict(
    dataset=dict(
        type='COCOStuffDataset',
        data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017'),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='COCOStuffDataset',
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'),
    )
)
test_dataloader = val_dataloader
