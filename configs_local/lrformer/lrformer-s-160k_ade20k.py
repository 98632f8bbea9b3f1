"""LRFormer-S on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-s-160k_ade20k.py 8

Published: 50.0 mIoU on val, single scale; 32.22 M parameters, 40.0 GMACs at 512x512.
"""

_base_ = [
    '../_base_/models/lrformer_s.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
