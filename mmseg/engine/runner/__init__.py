from ..config.data_root import hand_down_data_root
from ..processes.batch_plan import BatchPlan, plan_batch
from .evaluation_loops import TestLoop, ValLoop
from .seg_runner import SegRunner
from .training_loops import EpochBasedTrainLoop, IterBasedTrainLoop

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
