"""LRFormer-L on ADE20K, 160k iterations, crops of 640x640, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-l-160k_ade20k.py 8

Published: 52.6 mIoU on val, single scale; 110.98 M parameters, 181.9 GMACs at 640x640.
"""

_base_ = [
    '../_base_/models/lrformer_l.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
