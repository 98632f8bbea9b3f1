"""SegNeXt-T on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/segnext-t-160k_ade20k-512x512.py 8

4.26 M parameters. Source: Guo et al., NeurIPS 2022 (arXiv 2209.08575).
"""

_base_ = [
    '../_base_/models/segnext_t.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_160k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(clip_grad=None)
