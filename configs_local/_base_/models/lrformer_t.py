"""LRFormer-T with LRHead, its backbone pretrained on ImageNet-1K."""

_base_ = './lrformer.py'

model = dict(
    backbone=dict(
        variant='t',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_tiny.pth'),
    )
)
