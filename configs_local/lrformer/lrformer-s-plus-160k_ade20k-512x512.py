"""LRFormer-S+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-s-plus-160k_ade20k-512x512.py 8

Published: 51.3 mIoU on val, single scale; 47.67 M parameters, 70 GMACs at 512x512.
T+, B+ and L+ are built on this file.
"""

_base_ = [
    '../_base_/models/lrformer_plus.py',
    '../_base_/datasets/ade20k_plus_512x512.py',
    '../_base_/schedules/schedule_plus_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        variant='s',
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_small.pth'),
    ),
    decode_head=dict(num_classes=_base_.num_classes),
)
