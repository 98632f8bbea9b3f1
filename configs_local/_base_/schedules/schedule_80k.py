"""schedule_160k.py, over 80k iterations."""

_base_ = './schedule_160k.py'

train_cfg = dict(max_iters=80000)
