"""OCRNet with HRNet-W18 on ADE20K, 80k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/baselines/ocrnet-hr18-80k_ade20k-512x512.py 8

12.2 M parameters. Source: Yuan et al., ECCV 2020 (arXiv 1909.11065).
"""

_base_ = [
    '../_base_/models/ocrnet_hr18.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_sgd_80k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=[{**head, 'num_classes': _base_.num_classes} for head in _base_.model.decode_head],
)
