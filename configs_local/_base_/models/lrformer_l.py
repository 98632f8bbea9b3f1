"""LRFormer-L with LRHead, its backbone pretrained on ImageNet-1K."""

_base_ = './lrformer.py'

model = dict(
    backbone=dict(
        variant='l',
        drop_path_rate=0.6,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_large.pth'),
    )
)
