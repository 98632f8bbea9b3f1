"""DeepLabV3+ with MobileNetV3 on scenes that the program draws itself: LRFormer-N's task and budget of iterations.

bash tools/dist_train.sh configs_local/baselines/deeplabv3plus-mobilenet_scenes-128x128.py 1
"""

_base_ = [
    '../_base_/models/deeplabv3plus_mobilenet.py',
    '../_base_/datasets/scenes_128x128.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
default_hooks = dict(logger=dict(interval=20))
