"""AdamW with warm-up and linear decay to 0 over 160k iterations.

The other schedules change max_iters alone. The decay ends with it, and validation and checkpoints come after
each tenth of it, unless train_cfg.val_interval says otherwise.
"""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='SegOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(lr_mult={'decode_head': 10.0}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=35.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500),  # to max_iters
]
