"""LRFormer-S with LRHead, its backbone pretrained on ImageNet-1K."""

_base_ = './lrformer.py'

model = dict(
    backbone=dict(
        variant='s',
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_small.pth'),
    )
)
