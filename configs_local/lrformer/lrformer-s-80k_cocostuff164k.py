"""LRFormer-S on COCO-Stuff 164K, 80k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-s-80k_cocostuff164k.py 8

Published: 46.4 mIoU on val2017, single scale.
"""

_base_ = [
    '../_base_/models/lrformer_s.py',
    '../_base_/datasets/cocostuff164k.py',
    '../_base_/schedules/schedule_80k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
