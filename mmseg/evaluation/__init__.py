from .metrics import CityscapesMetric, IoUMetric, LossMetric

__all__ = ['CityscapesMetric', 'IoUMetric', 'LossMetric']
