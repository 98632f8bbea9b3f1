from .batch_plan import BatchPlan, plan_batch
from .checkpoint_io import atomic_write
from .data_root import hand_down_data_root
from .loops import IterBasedTrainLoop, TestLoop, ValLoop
from .seg_runner import SegRunner, newest_checkpoint

__all__ = [
    'BatchPlan',
    'IterBasedTrainLoop',
    'SegRunner',
    'TestLoop',
    'ValLoop',
    'atomic_write',
    'hand_down_data_root',
    'newest_checkpoint',
    'plan_batch',
]
