from mmcv.transforms import Resize

from .crop import RandomCrop
from .cutout import RandomCutOut
from .edge import GenerateEdge
from .flip import RandomFlip
from .formatting import PackSegInputs
from .intensity import CLAHE, AdjustGamma, Rerange, RGB2Gray
from .loading import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from .mix import ClassMix, CopyPaste, CutMix, RandomMosaic
from .other_libraries import Albu, TorchVision
from .photometric import PhotoMetricDistortion
from .resize import AlignResize, ResizeShortestEdge, ResizeToMultiple, SegRescale
from .rotate import RandomRotate, RandomRotFlip

__all__ = [
    'AdjustGamma',
    'Albu',
    'AlignResize',
    'CLAHE',
    'ClassMix',
    'CopyPaste',
    'CutMix',
    'GenerateEdge',
    'LoadAnnotations',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'PackSegInputs',
    'PhotoMetricDistortion',
    'RGB2Gray',
    'RandomCrop',
    'RandomCutOut',
    'RandomFlip',
    'RandomMosaic',
    'RandomRotFlip',
    'RandomRotate',
    'Rerange',
    'Resize',
    'ResizeShortestEdge',
    'ResizeToMultiple',
    'SegRescale',
    'TorchVision',
]
