"""LRFormer-N+ on scenes that the program draws itself: nothing to download, minutes on two CPU cores.

    bash tools/dist_train.sh configs_local/lrformer/lrformer-n-plus_scenes-128x128.py 1

Expect 76 mIoU on held-out scenes after about half an hour.
"""

_base_ = [
    '../_base_/models/lrformer_plus.py',
    '../_base_/datasets/scenes_128x128.py',
    '../_base_/schedules/schedule_plus_160k.py',
    '../_base_/default_runtime.py',
]

# Sizes for images of 128x128 and 8 classes: query grids no finer than the maps, and a head a tenth of the
# published one.
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(variant='n', drop_path_rate=0.0, q_pooled_sizes=(16, 16, 8, 4)),
    decode_head=dict(
        num_classes=_base_.num_classes,
        feat_channels=128,
        num_queries=20,
        num_encoder_layers=2,
        num_decoder_layers=3,
        encoder_ffn_channels=256,
        decoder_ffn_channels=512,
        loss_decode=dict(type='Mask2FormerLoss', num_points=1024),
    ),
)

train_cfg = dict(max_iters=1500, val_interval=500)
test_after_train = True
# Nothing is pretrained, so the backbone learns no slower than the head.
optim_wrapper = dict(
    optimizer=dict(lr=1e-3), paramwise_cfg=dict(lr_mult=dict(backbone=1.0)), clip_grad=dict(max_norm=1.0)
)
default_hooks = dict(logger=dict(interval=20))
