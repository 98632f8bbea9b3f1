"""Datasets and transforms. Importing this package fills ``DATASETS`` and ``TRANSFORMS``."""

from . import transforms
from .ade import ADE20KDataset
from .basesegdataset import BaseSegDataset
from .camvid import CamVidDataset
from .cityscapes import CityscapesDataset
from .class_weights import class_weights
from .coco_stuff import COCOStuffDataset
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
    'RepeatDataset',
    'SceneDataset',
    'class_weights',
    'transforms',
]
