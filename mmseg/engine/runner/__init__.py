from .batch_plan import BatchPlan, plan_batch
from .data_root import hand_down_data_root
from .loops import EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, ValLoop
from .seg_runner import SegRunner

__all__ = [
    'BatchPlan',
    'EpochBasedTrainLoop',
    'IterBasedTrainLoop',
    'SegRunner',
    'TestLoop',
    'ValLoop',
    'hand_down_data_root',
    'plan_batch',
]
