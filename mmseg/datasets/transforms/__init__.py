from .crop import RandomCrop
from .formatting import PackSegInputs
from .loading import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from .mix import ClassMix, CopyPaste, CutMix, RandomMosaic
from .photometric import PhotoMetricDistortion
from .resize import AlignResize, ResizeShortestEdge, ResizeToMultiple
from .rotate import RandomRotate

__all__ = [
    'AlignResize',
    'ClassMix',
    'CopyPaste',
    'CutMix',
    'LoadAnnotations',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'PackSegInputs',
    'PhotoMetricDistortion',
    'RandomCrop',
    'RandomMosaic',
    'RandomRotate',
    'ResizeShortestEdge',
    'ResizeToMultiple',
]
