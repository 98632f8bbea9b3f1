from .crop import RandomCrop
from .formatting import PackSegInputs
from .loading import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from .photometric import PhotoMetricDistortion
from .resize import AlignResize, ResizeShortestEdge, ResizeToMultiple
from .rotate import RandomRotate

__all__ = [
    'AlignResize',
    'LoadAnnotations',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'PackSegInputs',
    'PhotoMetricDistortion',
    'RandomCrop',
    'RandomRotate',
    'ResizeShortestEdge',
    'ResizeToMultiple',
]
