"""LRFormer-L+ on ADE20K, 160k iterations, crops of 512x512, global batch 16.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-l-plus-160k_ade20k-512x512.py 8

No score is published for this one; 119.22 M parameters.
"""

_base_ = './lrformer-s-plus-160k_ade20k-512x512.py'

model = dict(backbone=dict(variant='l', drop_path_rate=0.6, init_cfg=dict(checkpoint='pretrained/LRFormer_large.pth')))
