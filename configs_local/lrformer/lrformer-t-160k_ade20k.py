"""LRFormer-T on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-t-160k_ade20k.py 8

Published: 46.7 mIoU on val, single scale; 13.26 M parameters, 16.7 GMACs at 512x512.
"""

_base_ = [
    '../_base_/models/lrformer_t.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
