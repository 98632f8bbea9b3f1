"""LRFormer-B+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-b-plus-160k_ade20k-512x512.py 8

Published: 53.7 mIoU on val, single scale; 79.84 M parameters.
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
        variant='b',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_base.pth'),
    ),
    decode_head=dict(num_classes=_base_.num_classes),
)
