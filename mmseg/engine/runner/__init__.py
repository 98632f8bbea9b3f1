from .batch_plan import BatchPlan, plan_batch
from .checkpoint_io import atomic_write, find_resumable, save_checkpoint_file, write_checkpoint
from .data_root import hand_down_data_root
from .loops import IterBasedTrainLoop, TestLoop, ValLoop
from .seg_runner import SegRunner

__all__ = [
    'BatchPlan',
    'IterBasedTrainLoop',
    'SegRunner',
    'TestLoop',
    'ValLoop',
    'atomic_write',
    'find_resumable',
    'hand_down_data_root',
    'plan_batch',
    'save_checkpoint_file',
    'write_checkpoint',
]
