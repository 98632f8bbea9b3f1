from .cityscapes_metric import CityscapesMetric
from .iou_metric import IoUMetric
from .loss_metric import LossMetric

__all__ = ['CityscapesMetric', 'IoUMetric', 'LossMetric']
