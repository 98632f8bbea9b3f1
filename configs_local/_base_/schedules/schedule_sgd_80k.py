"""SGD with momentum and polynomial decay over 80k iterations, as convolutional networks are trained."""

_base_ = './schedule_80k.py'

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=None,
    clip_grad=None,
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=0)]  # to max_iters
