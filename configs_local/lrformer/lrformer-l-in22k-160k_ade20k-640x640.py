"""LRFormer-L pretrained on ImageNet-22K, on ADE20K, 160k iterations, crops of 640x640, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-l-in22k-160k_ade20k-640x640.py 8

Published: 54.2 mIoU on val, single scale; 110.98 M parameters, 181.9 GMACs at 640x640.
"""

_base_ = './lrformer-l-160k_ade20k.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='pretrained/LRFormer_large_in22k_1k.pth')))
