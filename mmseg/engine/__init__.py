from .amp import amp_dtype
from .hooks import CheckpointHook, EarlyStoppingHook, EvalProgressHook, LoggerHook, SegVisualizationHook
from .optimizers import AmpOptimWrapper, OptimWrapper, SegOptimWrapperConstructor
from .runner import EpochBasedTrainLoop, IterBasedTrainLoop, SegRunner, TestLoop, ValLoop
from .samplers import InfiniteSampler, SeededSamples

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'EarlyStoppingHook',
    'EpochBasedTrainLoop',
    'EvalProgressHook',
    'InfiniteSampler',
    'IterBasedTrainLoop',
    'LoggerHook',
    'OptimWrapper',
    'SegOptimWrapperConstructor',
    'SegRunner',
    'SegVisualizationHook',
    'SeededSamples',
    'TestLoop',
    'ValLoop',
    'amp_dtype',
]
