"""LRFormer-S on Cityscapes, 160k iterations, crops of 1024x1024, global batch 8.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-s-160k_cityscapes-1024x1024.py 8

Published: 81.9 mIoU on val, single scale; 295 GMACs at 1024x2048.
"""

_base_ = [
    '../_base_/models/lrformer_s.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
