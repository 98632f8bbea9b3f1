"""SegFormer-B0, from scratch. B1 to B5 differ in ``embed_dims`` and ``num_layers``."""

_base_ = './segmentor.py'

model = dict(
    backbone=dict(
        type='MixVisionTransformer',
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        drop_path_rate=0.1,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_index=[0, 1, 2, 3],
        channels=256,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
)
