"""What stands here for parts of mmsegmentation and its relatives that do not: by type name, for error messages."""

_TIMM = "dict(type='TIMMBackbone', model_name={!r}, pretrained=True)"
_VIT = _TIMM.format('vit_base_patch16_224.augreg_in21k') + ' with the neck Feature2Pyramid or MultiLevelNeck'

# A substitute, and the names for which it stands; the last ones are of mmsegmentation 0.x.
_STAND_INS = {
    _TIMM.format('convnext_tiny.fb_in22k'): 'ConvNeXt InternImage VAN',
    _VIT: 'VisionTransformer ViT BEiT MAE VPD',
    _TIMM.format('twins_svt_small.in1k'): 'PCPVT SVT',
    _TIMM.format('resnest50d.in1k'): 'ResNeSt',
    _TIMM.format('mobilenetv2_100.ra_in1k'): 'MobileNetV2',
    _TIMM.format('mobilenetv3_large_100.ra_in1k'): 'MobileNetV3',
    "MSCAN or dict(type='LRFormer', variant='t'), light encoders": (
        'BiSeNetV1 BiSeNetV2 CGNet DDRNet ERFNet FastSCNN ICNet PIDNet STDCNet STDCContextPathNet'
    ),
    "dict(type='MixVisionTransformer', ...), with the sizes of configs_local/baselines/segformer-*": (
        'mit_b0 mit_b1 mit_b2 mit_b3 mit_b4 mit_b5'
    ),
    'FPN': 'JPU ICNeck',
    'OCRHead, context by attention': (
        'ANNHead APCHead CCHead DAHead DMHead DNLHead EMAHead EncHead GCHead ISAHead NLHead PSAHead'
    ),
    'SegformerHead or FCNHead': 'DDRHead LRASPPHead PIDHead STDCHead SETRUPHead SETRMLAHead DPTHead',
    'Mask2FormerHead, queries that find segments': (
        'IterativeDecodeHead KernelUpdateHead MaskFormerHead SegmenterMaskTransformerHead SideAdapterCLIPHead'
    ),
    'a CascadeEncoderDecoder of FCNHead and OCRHead': 'PointHead',
    'PackSegInputs': 'DefaultFormatBundle Collect ImageToTensor',
    "the model's data_preprocessor=dict(type='SegDataPreProcessor', mean=..., std=..., size=...)": 'Normalize Pad',
    'a pipeline of single transforms': 'MultiScaleFlipAug',
    'BaseSegDataset': 'CustomDataset',
    'LoggerHook': 'TextLoggerHook',
}
SUBSTITUTES = {name: substitute for substitute, names in _STAND_INS.items() for name in names.split()}
