from .hrnet import HRNet
from .lrformer import LRFormer
from .mit import MixVisionTransformer
from .mscan import MSCAN
from .resnet import ResNet, ResNetV1c, ResNetV1d
from .resnext import ResNeXt
from .swin import SwinTransformer
from .timm_backbone import TIMMBackbone
from .unet import UNet

__all__ = [
    'HRNet',
    'LRFormer',
    'MSCAN',
    'MixVisionTransformer',
    'ResNeXt',
    'ResNet',
    'ResNetV1c',
    'ResNetV1d',
    'SwinTransformer',
    'TIMMBackbone',
    'UNet',
]
