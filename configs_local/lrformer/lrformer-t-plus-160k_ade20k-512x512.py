"""LRFormer-T+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-t-plus-160k_ade20k-512x512.py 8

Published: 49.4 mIoU on val, single scale; 31.02 M parameters, 53 GMACs at 512x512.
"""

_base_ = './lrformer-s-plus-160k_ade20k-512x512.py'

model = dict(backbone=dict(variant='t', drop_path_rate=0.2, init_cfg=dict(checkpoint='pretrained/LRFormer_tiny.pth')))
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
