"""Mask2Former with ResNet-50 on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/mask2former-r50-160k_ade20k-512x512.py 8

44.0 M parameters. Source: Cheng et al., CVPR 2022 (arXiv 2112.01527).
"""

_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/datasets/ade20k_plus_512x512.py',
    '../_base_/schedules/schedule_plus_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
