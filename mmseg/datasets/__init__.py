"""Datasets and transforms. Importing this package fills ``DATASETS`` and ``TRANSFORMS``."""

from . import public, transforms
from .ade import ADE20KDataset
from .basesegdataset import BaseSegDataset
from .camvid import CamVidDataset
from .cityscapes import CityscapesDataset
from .class_weights import class_weights
from .coco_stuff import COCOStuffDataset
from .pairs import PairsDataset
from .scenes import SceneDataset
from .wrappers import ClassBalancedDataset, ConcatDataset, MultiImageMixDataset, RepeatDataset

__all__ = [
    'ADE20KDataset',
    'BaseSegDataset',
    'COCOStuffDataset',
    'CamVidDataset',
    'CityscapesDataset',
    'ClassBalancedDataset',
    'ConcatDataset',
    'MultiImageMixDataset',
    'PairsDataset',
    'RepeatDataset',
    'SceneDataset',
    'class_weights',
    'transforms',
]

globals().update(public.PUBLIC)  # PascalVOCDataset and all others of the table
__all__ += list(public.PUBLIC)
