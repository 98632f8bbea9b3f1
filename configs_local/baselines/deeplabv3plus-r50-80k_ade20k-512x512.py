"""DeepLabV3+ with ResNet-50 on ADE20K, 80k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/deeplabv3plus-r50-80k_ade20k-512x512.py 8

43.7 M parameters, 2.5 M of them in the auxiliary head. Source: Chen et al., ECCV 2018 (arXiv 1802.02611).
"""

_base_ = [
    '../_base_/models/deeplabv3plus_r50.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_sgd_80k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
