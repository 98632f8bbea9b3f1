"""UPerNet with ResNet-50 on ADE20K, 80k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/upernet-r50-80k_ade20k-512x512.py 8

66.5 M parameters, 2.5 M of them in the auxiliary head. Source: Xiao et al., ECCV 2018 (arXiv 1807.10221).
"""

_base_ = [
    '../_base_/models/upernet_r50.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_sgd_80k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
