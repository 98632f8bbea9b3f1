"""LRFormer-T+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-t-plus-160k_ade20k-512x512.py 8

Published: 49.4 mIoU on val, single scale; 31.02 M parameters.
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
        variant='t',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_tiny.pth'),
    ),
    decode_head=dict(num_classes=_base_.num_classes),
)
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
