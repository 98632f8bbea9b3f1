"""LRFormer-XL+ pretrained on ImageNet-22K, on ADE20K, 160k iterations, crops of 640x640, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-xl-plus-in22k-160k_ade20k-640x640.py 8

Published: 58.1 mIoU on val, single scale; 204.73 M parameters, 365 GMACs at 640x640 (we count 315, docs/results.md).
"""

_base_ = './lrformer-l-plus-160k_ade20k-640x640.py'

model = dict(
    backbone=dict(
        variant='xl',  # two BatchNorms in its third stage keep it within fp16's range
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint='pretrained/lrformer_xl_in22k_1k_89e.pth'),
    )
)
