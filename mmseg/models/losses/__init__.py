from .accuracy import Accuracy, accuracy, share_of
from .cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy
from .mask2former_loss import Mask2FormerLoss
from .resized_cross_entropy import resized_cross_entropy
from .utils import reduce_loss, weight_reduce_loss, weighted_loss

__all__ = [
    'Accuracy',
    'CrossEntropyLoss',
    'Mask2FormerLoss',
    'accuracy',
    'binary_cross_entropy',
    'cross_entropy',
    'reduce_loss',
    'resized_cross_entropy',
    'share_of',
    'weight_reduce_loss',
    'weighted_loss',
]
