"""LRFormer-B+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-b-plus-160k_ade20k-512x512.py 8

Published: 53.7 mIoU on val, single scale; 79.84 M parameters, 94 GMACs at 512x512.
"""

_base_ = './lrformer-s-plus-160k_ade20k-512x512.py'

model = dict(backbone=dict(variant='b', drop_path_rate=0.4, init_cfg=dict(checkpoint='pretrained/LRFormer_base.pth')))
