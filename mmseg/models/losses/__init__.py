from .accuracy import Accuracy, accuracy
from .cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy
from .utils import reduce_loss, weight_reduce_loss, weighted_loss

__all__ = [
    'Accuracy',
    'CrossEntropyLoss',
    'accuracy',
    'binary_cross_entropy',
    'cross_entropy',
    'reduce_loss',
    'weight_reduce_loss',
    'weighted_loss',
]
