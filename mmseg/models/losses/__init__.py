from .accuracy import Accuracy, accuracy, share_of
from .base import BaseLoss
from .boundary_loss import BoundaryLoss
from .cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy
from .dice_loss import DiceLoss
from .focal_loss import FocalLoss
from .lovasz_loss import LovaszLoss
from .mask2former_loss import Mask2FormerLoss
from .ohem_cross_entropy_loss import OhemCrossEntropy
from .resized_cross_entropy import resized_cross_entropy
from .tversky_loss import TverskyLoss
from .utils import reduce_loss, weight_reduce_loss, weighted_loss

__all__ = [
    'Accuracy',
    'BaseLoss',
    'BoundaryLoss',
    'CrossEntropyLoss',
    'DiceLoss',
    'FocalLoss',
    'LovaszLoss',
    'Mask2FormerLoss',
    'OhemCrossEntropy',
    'TverskyLoss',
    'accuracy',
    'binary_cross_entropy',
    'cross_entropy',
    'reduce_loss',
    'resized_cross_entropy',
    'share_of',
    'weight_reduce_loss',
    'weighted_loss',
]
