"""LRFormer-T+ on scenes that the program draws itself; another variant takes one other letter below.

bash tools/dist_train.sh configs_local/lrformer/lrformer-t-plus_scenes-128x128.py 1
"""

_base_ = './lrformer-n-plus_scenes-128x128.py'

model = dict(backbone=dict(variant='t'))
