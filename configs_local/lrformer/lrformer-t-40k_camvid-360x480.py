"""LRFormer-T on CamVid (11 classes, 360x480), from scratch, 40k iterations.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-t-40k_camvid-360x480.py 1

Needs the CamVid images and nothing else; no score is published.
"""

_base_ = [
    '../_base_/models/lrformer.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=_base_.num_classes))
