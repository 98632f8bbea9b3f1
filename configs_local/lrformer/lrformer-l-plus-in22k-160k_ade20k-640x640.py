"""LRFormer-L+ pretrained on ImageNet-22K, on ADE20K, 160k iterations, crops of 640x640, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-l-plus-in22k-160k_ade20k-640x640.py 8

Published: 55.8 mIoU on val, single scale; 119.22 M parameters, 192 GMACs at 640x640.
"""

_base_ = './lrformer-l-plus-160k_ade20k-640x640.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='pretrained/LRFormer_large_in22k_1k.pth')))
