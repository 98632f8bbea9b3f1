"""Minutes on two CPU cores: 700 iterations of AdamW, from scratch, so that heads learn no faster than backbones."""

_base_ = './schedule_40k.py'

train_cfg = dict(max_iters=700, val_interval=700)
test_after_train = True
optim_wrapper = dict(optimizer=dict(lr=2e-3), paramwise_cfg=dict(lr_mult=dict(decode_head=1.0)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=50),  # to max_iters
]
