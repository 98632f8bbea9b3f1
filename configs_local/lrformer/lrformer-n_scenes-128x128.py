"""LRFormer-N on scenes that the program draws itself: nothing to download, minutes on two CPU cores.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-n_scenes-128x128.py 1

Expect 64 mIoU on held-out scenes after about 5 minutes, and pictures of them in the work dir.
"""

_base_ = [
    '../_base_/models/lrformer.py',
    '../_base_/datasets/scenes_128x128.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/default_runtime.py',
]

# Query grids no finer than the maps, whose sides are 32, 16, 8 and 4 cells here (16 in the head): the published
# grids are made for 512x512, and cost four times as much.
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(variant='n', drop_path_rate=0.0, q_pooled_sizes=(16, 16, 8, 4)),
    decode_head=dict(num_classes=_base_.num_classes, q_pooled_size=16),
)

default_hooks = dict(logger=dict(interval=20))
