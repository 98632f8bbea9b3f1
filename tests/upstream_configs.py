"""Models in the words of mmsegmentation's public configs, written to its schema.

``MODELS`` has those of ``tests/data/baseline_entries.json.gz`` at their published sizes, ``TINY`` one of each family
that trains on a CPU in a moment.
"""

import copy

BN = dict(type='SyncBN', requires_grad=True)
CE = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)


def preprocessor() -> dict:
    return dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
    )


def head(type: str, num_classes: int, *, loss_weight: float = 1.0, **kwargs) -> dict:
    base = dict(type=type, dropout_ratio=0.1, num_classes=num_classes, norm_cfg=BN, align_corners=False)
    return base | dict(loss_decode=dict(CE, loss_weight=loss_weight)) | kwargs


def encoder_decoder(backbone: dict, decode_head, type: str = 'EncoderDecoder', **kwargs) -> dict:
    cfg = dict(type=type, data_preprocessor=preprocessor(), backbone=backbone, decode_head=decode_head)
    return copy.deepcopy(cfg | dict(train_cfg=dict(), test_cfg=dict(mode='whole')) | kwargs)


def resnet(type: str = 'ResNetV1c', depth: int = 50, dilated: bool = True, **kwargs) -> dict:
    strides, dilations = ((1, 2, 1, 1), (1, 1, 2, 4)) if dilated else ((1, 2, 2, 2), (1, 1, 1, 1))
    return (
        dict(
            type=type,
            depth=depth,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            dilations=dilations,
            strides=strides,
            norm_cfg=BN,
            norm_eval=False,
            style='pytorch',
            contract_dilation=True,
        )
        | kwargs
    )


def auxiliary(num_classes: int, in_channels: int = 1024, in_index: int = 2, **kwargs) -> dict:
    sizes = dict(in_channels=in_channels, in_index=in_index, channels=256, num_convs=1, concat_input=False)
    return head('FCNHead', num_classes, loss_weight=0.4, **(sizes | kwargs))


def on_resnet(decode_head: dict, backbone: dict | None = None, **kwargs) -> dict:
    classes = decode_head['num_classes']
    pretrained = 'open-mmlab://resnet50_v1c'
    return encoder_decoder(
        backbone or resnet(), decode_head, **(dict(pretrained=pretrained, auxiliary_head=auxiliary(classes)) | kwargs)
    )


def fcn(num_classes: int = 150, **kwargs) -> dict:
    sizes = dict(in_channels=2048, in_index=3, channels=512, num_convs=2, concat_input=True)
    return head('FCNHead', num_classes, **(sizes | kwargs))


def deeplabv3plus(num_classes: int = 150) -> dict:
    return head(
        'DepthwiseSeparableASPPHead',
        num_classes,
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
    )


def segformer(embed_dims: int, num_layers: list[int], channels: int) -> dict:
    backbone = dict(
        type='MixVisionTransformer',
        in_channels=3,
        embed_dims=embed_dims,
        num_stages=4,
        num_layers=num_layers,
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth',
        ),
    )
    dims = [embed_dims * heads for heads in (1, 2, 5, 8)]
    return encoder_decoder(
        backbone, head('SegformerHead', 150, in_channels=dims, in_index=[0, 1, 2, 3], channels=channels)
    )


def upernet(in_channels: list[int]) -> dict:
    sizes = dict(in_channels=in_channels, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=512)
    return head('UPerHead', 150, **sizes)


def swin(**kwargs) -> dict:
    return (
        dict(
            type='SwinTransformer',
            pretrain_img_size=224,
            embed_dims=96,
            patch_size=4,
            window_size=7,
            mlp_ratio=4,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            strides=(4, 2, 2, 2),
            out_indices=(0, 1, 2, 3),
            qkv_bias=True,
            qk_scale=None,
            patch_norm=True,
            drop_rate=0.0,
            attn_drop_rate=0.0,
            drop_path_rate=0.3,
            use_abs_pos_embed=False,
            act_cfg=dict(type='GELU'),
            norm_cfg=dict(type='LN', requires_grad=True),
            init_cfg=dict(type='Pretrained', checkpoint='https://download.openmmlab.com/swin_tiny.pth'),
        )
        | kwargs
    )


def semantic_fpn() -> dict:
    return encoder_decoder(
        resnet(dilated=False),
        head(
            'FPNHead',
            150,
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
        ),
        pretrained='open-mmlab://resnet50_v1c',
        neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
    )


def segnext() -> dict:
    ham_norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
    backbone = dict(
        type='MSCAN',
        init_cfg=dict(type='Pretrained', checkpoint='https://download.openmmlab.com/mscan_t_20230227-119e8c9f.pth'),
        embed_dims=[32, 64, 160, 256],
        mlp_ratios=[8, 8, 4, 4],
        drop_rate=0.0,
        drop_path_rate=0.1,
        depths=[3, 3, 5, 2],
        attention_kernel_sizes=[5, [1, 7], [1, 11], [1, 21]],
        attention_kernel_paddings=[2, [0, 3], [0, 5], [0, 10]],
        act_cfg=dict(type='GELU'),
        norm_cfg=dict(type='BN', requires_grad=True),
    )
    decode_head = head(
        'LightHamHead',
        150,
        in_channels=[64, 160, 256],
        in_index=[1, 2, 3],
        channels=256,
        ham_channels=256,
        norm_cfg=ham_norm_cfg,
        ham_kwargs=dict(MD_S=1, MD_R=16, train_steps=6, eval_steps=7, inv_t=100, rand_init=True),
    )
    return encoder_decoder(backbone, decode_head)


def hrnet(channels: tuple[int, ...] = (18, 36, 72, 144)) -> dict:
    def stage(modules: int, branches: int) -> dict:
        return dict(
            num_modules=modules,
            num_branches=branches,
            block='BASIC',
            num_blocks=(4,) * branches,
            num_channels=channels[:branches],
        )

    first = dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,))
    extra = dict(stage1=first, stage2=stage(1, 2), stage3=stage(4, 3), stage4=stage(3, 4))
    return dict(type='HRNet', norm_cfg=BN, norm_eval=False, extra=extra)


def on_hrnet(num_classes: int = 150, **kwargs) -> dict:
    return head(
        'FCNHead',
        num_classes,
        in_channels=[18, 36, 72, 144],
        in_index=(0, 1, 2, 3),
        channels=270,
        input_transform='resize_concat',
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=-1,
        **kwargs,
    )


def ocrnet() -> dict:
    maps = dict(in_channels=[18, 36, 72, 144], in_index=(0, 1, 2, 3), input_transform='resize_concat')
    heads = [
        on_hrnet(loss_weight=0.4),
        head('OCRHead', 150, channels=512, ocr_channels=256, dropout_ratio=-1, **maps),
    ]
    pretrained = 'open-mmlab://msra/hrnetv2_w18'
    return encoder_decoder(hrnet(), heads, type='CascadeEncoderDecoder', num_stages=2, pretrained=pretrained)


def unet() -> dict:
    backbone = dict(
        type='UNet',
        in_channels=3,
        base_channels=64,
        num_stages=5,
        strides=(1, 1, 1, 1, 1),
        enc_num_convs=(2, 2, 2, 2, 2),
        dec_num_convs=(2, 2, 2, 2),
        downsamples=(True, True, True, True),
        enc_dilations=(1, 1, 1, 1, 1),
        dec_dilations=(1, 1, 1, 1),
        with_cp=False,
        conv_cfg=None,
        norm_cfg=BN,
        act_cfg=dict(type='ReLU'),
        upsample_cfg=dict(type='InterpConv'),
        norm_eval=False,
    )
    small = dict(channels=64, num_convs=1, concat_input=False)
    return encoder_decoder(
        backbone,
        fcn(19, in_channels=64, in_index=4, **small),
        auxiliary_head=auxiliary(19, in_channels=128, in_index=3, **small),
        pretrained=None,
    )


def mask2former(
    backbone: dict,
    in_channels: list[int],
    num_classes: int = 150,
    width: int = 256,
    layers: tuple[int, int] = (6, 9),
    num_points: int = 12544,
) -> dict:
    attention = dict(embed_dims=width, num_heads=8, attn_drop=0.0, proj_drop=0.0, dropout_layer=None, batch_first=True)
    decode_head = dict(
        type='Mask2FormerHead',
        in_channels=in_channels,
        strides=[4, 8, 16, 32],
        feat_channels=width,
        out_channels=width,
        num_classes=num_classes,
        num_queries=100,
        num_transformer_feat_level=3,
        align_corners=False,
        pixel_decoder=dict(
            type='mmdet.MSDeformAttnPixelDecoder',
            num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=layers[0],
                layer_cfg=dict(
                    self_attn_cfg=dict(
                        embed_dims=width,
                        num_heads=8,
                        num_levels=3,
                        num_points=4,
                        im2col_step=64,
                        dropout=0.0,
                        batch_first=True,
                        norm_cfg=None,
                        init_cfg=None,
                    ),
                    ffn_cfg=dict(
                        embed_dims=width,
                        feedforward_channels=4 * width,
                        num_fcs=2,
                        ffn_drop=0.0,
                        act_cfg=dict(type='ReLU', inplace=True),
                    ),
                ),
                init_cfg=None,
            ),
            positional_encoding=dict(num_feats=width // 2, normalize=True),
            init_cfg=None,
        ),
        enforce_decoder_input_project=False,
        positional_encoding=dict(num_feats=width // 2, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=layers[1],
            layer_cfg=dict(
                self_attn_cfg=attention,
                cross_attn_cfg=attention,
                ffn_cfg=dict(
                    embed_dims=width,
                    feedforward_channels=8 * width,
                    num_fcs=2,
                    act_cfg=dict(type='ReLU', inplace=True),
                    ffn_drop=0.0,
                    dropout_layer=None,
                    add_identity=True,
                ),
            ),
            init_cfg=None,
        ),
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            loss_weight=2.0,
            reduction='mean',
            class_weight=[1.0] * num_classes + [0.1],
        ),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0),
        loss_dice=dict(
            type='mmdet.DiceLoss',
            use_sigmoid=True,
            activate=True,
            reduction='mean',
            naive_dice=True,
            eps=1.0,
            loss_weight=5.0,
        ),
        train_cfg=dict(
            num_points=num_points,
            oversample_ratio=3.0,
            importance_sample_ratio=0.75,
            assigner=dict(
                type='mmdet.HungarianAssigner',
                match_costs=[
                    dict(type='mmdet.ClassificationCost', weight=2.0),
                    dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                    dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
                ],
            ),
            sampler=dict(type='mmdet.MaskPseudoSampler'),
        ),
    )
    return encoder_decoder(backbone, decode_head)


RESNET_MASKS = dict(
    type='ResNet',
    depth=50,
    deep_stem=False,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=-1,
    norm_cfg=dict(type='SyncBN', requires_grad=False),
    style='pytorch',
    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
)
MODELS = dict(
    segformer_b0=lambda: segformer(32, [2, 2, 2, 2], 256),
    segformer_b2=lambda: segformer(64, [3, 4, 6, 3], 256),
    segformer_b5=lambda: segformer(64, [3, 6, 40, 3], 256),
    fcn_r50=lambda: on_resnet(fcn()),
    fcn_r50b=lambda: on_resnet(fcn(19), resnet('ResNet'), pretrained='torchvision://resnet50'),
    fcn_d6=lambda: on_resnet(
        fcn(19, dilation=6),
        resnet(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)),
        auxiliary_head=auxiliary(19, dilation=6),
    ),
    pspnet_r50=lambda: on_resnet(
        head('PSPHead', 150, in_channels=2048, in_index=3, channels=512, pool_scales=(1, 2, 3, 6))
    ),
    deeplabv3_r50=lambda: on_resnet(
        head('ASPPHead', 150, in_channels=2048, in_index=3, channels=512, dilations=(1, 12, 24, 36))
    ),
    deeplabv3plus_r50=lambda: on_resnet(deeplabv3plus()),
    deeplabv3plus_r101b=lambda: on_resnet(deeplabv3plus(19), resnet('ResNet', 101)),
    upernet_r50=lambda: on_resnet(upernet([256, 512, 1024, 2048]), resnet(dilated=False)),
    upernet_swin=lambda: encoder_decoder(
        swin(), upernet([96, 192, 384, 768]), auxiliary_head=auxiliary(150, in_channels=384)
    ),
    semfpn_r50=semantic_fpn,
    segnext_t=segnext,
    mask2former_r50=lambda: mask2former(RESNET_MASKS, [256, 512, 1024, 2048]),
    mask2former_swin=lambda: mask2former(swin(frozen_stages=-1), [96, 192, 384, 768]),
    ocrnet_hr18=ocrnet,
    fcn_hr18=lambda: encoder_decoder(hrnet(), on_hrnet(), pretrained='open-mmlab://msra/hrnetv2_w18'),
    unet_fcn=unet,
)


def shrink(cfg, by: int = 32):
    """The config with channels of heads and necks divided."""
    if isinstance(cfg, list):
        return [shrink(part, by) for part in cfg]
    if not isinstance(cfg, dict):
        return cfg
    names = ('in_channels', 'channels', 'out_channels', 'c1_in_channels', 'c1_channels')
    small = {key: _divide(value, by) if key in names else shrink(value, by) for key, value in cfg.items()}
    return small | ({'backbone': cfg['backbone']} if 'backbone' in cfg else {})


def _divide(channels, by: int):
    return [_divide(c, by) for c in channels] if isinstance(channels, list) else max(channels // by, 8)


def _tiny_resnet(name: str) -> dict:
    cfg = shrink(MODELS[name]())
    cfg['backbone'].update(depth=18, base_channels=8, stem_channels=8)
    return cfg


def _tiny_hrnet(name: str) -> dict:
    cfg = MODELS[name]()
    for stage in cfg['backbone']['extra'].values():
        stage.update(num_modules=1, num_blocks=(1,) * stage['num_branches'])
    return cfg


def _tiny(name: str, backbone: dict, heads: dict | None = None) -> dict:
    cfg = MODELS[name]()
    cfg['backbone'].update(backbone)
    for head_name in ('decode_head', 'auxiliary_head'):
        cfg.get(head_name, {}).update(heads or {})
    return cfg


TINY = dict(
    fcn=lambda: _tiny_resnet('fcn_r50'),
    pspnet=lambda: _tiny_resnet('pspnet_r50'),
    deeplabv3=lambda: _tiny_resnet('deeplabv3_r50'),
    deeplabv3plus=lambda: _tiny_resnet('deeplabv3plus_r50'),
    upernet=lambda: _tiny_resnet('upernet_r50'),
    semantic_fpn=lambda: _tiny_resnet('semfpn_r50'),
    segformer=lambda: _tiny('segformer_b0', dict(num_layers=[1, 1, 1, 1]), dict(channels=32)),
    swin=lambda: _tiny('upernet_swin', dict(depths=[1, 2, 1, 1]), dict(channels=16)),
    segnext=lambda: _tiny('segnext_t', dict(depths=[1, 1, 1, 1]), dict(channels=32, ham_channels=32)),
    hrnet=lambda: _tiny_hrnet('fcn_hr18'),
    ocrnet=lambda: _tiny_hrnet('ocrnet_hr18'),
    unet=lambda: shrink(_tiny('unet_fcn', dict(base_channels=8)), 8),
    mask2former=lambda: mask2former(
        dict(RESNET_MASKS, depth=18, base_channels=8), [8, 16, 32, 64], width=32, layers=(1, 2), num_points=64
    ),
)
