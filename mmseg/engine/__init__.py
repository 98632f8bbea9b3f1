from .amp import amp_dtype
from .hooks import CheckpointHook, EvalProgressHook, LoggerHook, SegVisualizationHook
from .optimizers import AmpOptimWrapper, SegOptimWrapperConstructor
from .runner import IterBasedTrainLoop, SegRunner, TestLoop, ValLoop
from .samplers import InfiniteSampler

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'EvalProgressHook',
    'InfiniteSampler',
    'IterBasedTrainLoop',
    'LoggerHook',
    'SegOptimWrapperConstructor',
    'SegRunner',
    'SegVisualizationHook',
    'TestLoop',
    'ValLoop',
    'amp_dtype',
]
