"""LRFormer+: AdamW with polynomial decay to 0 over 160k iterations, the backbone at a tenth of the rate.

What is no matrix does not decay: norms, embeddings and layer scales, by the kind of module. The published runs
went by names, which left out the stem's BatchNorms, the layer scales and level_encoding; to have it so:

    optim_wrapper = dict(
        paramwise_cfg=dict(
            layer_scale_decay_mult=1.0,
            decay_mult={'backbone.stages.0.embed.convs': 1.0, 'decode_head.pixel_decoder.level_encoding': 1.0},
        )
    )
"""

_base_ = './schedule_160k.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05, eps=1e-8),
    paramwise_cfg=dict(
        _delete_=True,
        lr_mult=dict(backbone=0.1),
        norm_decay_mult=0.0,
        embed_decay_mult=0.0,
        layer_scale_decay_mult=0.0,
    ),
    clip_grad=dict(max_norm=0.1),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0)]  # to max_iters
