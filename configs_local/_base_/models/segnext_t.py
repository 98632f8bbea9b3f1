"""SegNeXt-T, its backbone pretrained on ImageNet-1K."""

_base_ = './segmentor.py'

model = dict(
    backbone=dict(
        type='MSCAN',
        embed_dims=[32, 64, 160, 256],
        mlp_ratios=[8, 8, 4, 4],
        depths=[3, 3, 5, 2],
        drop_path_rate=0.1,
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segnext/'
            'mscan_t_20230227-119e8c9f.pth',
        ),
    ),
    decode_head=dict(
        type='LightHamHead',
        in_index=[1, 2, 3],
        channels=256,
        ham_channels=256,
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True),
        ham_kwargs=dict(MD_S=1, MD_R=16, train_steps=6, eval_steps=7, inv_t=100, rand_init=True),
    ),
)
