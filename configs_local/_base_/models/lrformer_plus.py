"""LRFormer+: LRFormer-T with the Mask2Former head at its published sizes, from scratch.

Any other variant takes its letter in ``backbone.variant``: the head takes its channels from the backbone.
"""

_base_ = './lrformer.py'

model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(drop_path_rate=0.2),
    decode_head=dict(_delete_=True, type='Mask2FormerHead'),
)
