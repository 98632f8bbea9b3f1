"""LRFormer-B with LRHead, its backbone pretrained on ImageNet-1K."""

_base_ = './lrformer.py'

model = dict(
    backbone=dict(
        variant='b',
        drop_path_rate=0.4,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/LRFormer_base.pth'),
    )
)
