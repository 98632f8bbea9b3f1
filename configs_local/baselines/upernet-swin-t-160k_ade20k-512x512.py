"""UPerNet with Swin-T on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/upernet-swin-t-160k_ade20k-512x512.py 8

59.9 M parameters, 1 M of them in the auxiliary head. Source: Liu et al., ICCV 2021 (arXiv 2103.14030).
"""

_base_ = [
    '../_base_/models/upernet_swin_t.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
# One rate for all. The published run leaves position biases out of weight decay too.
optim_wrapper = dict(paramwise_cfg=dict(lr_mult=dict(decode_head=1.0)), clip_grad=None)
