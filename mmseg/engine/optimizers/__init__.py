from .amp_optim_wrapper import AmpOptimWrapper
from .layer_decay_optimizer_constructor import LayerDecayOptimizerConstructor, LearningRateDecayOptimizerConstructor
from .optim_wrapper import OptimWrapper
from .seg_optim_wrapper_constructor import SegOptimWrapperConstructor

__all__ = [
    'AmpOptimWrapper',
    'LayerDecayOptimizerConstructor',
    'LearningRateDecayOptimizerConstructor',
    'OptimWrapper',
    'SegOptimWrapperConstructor',
]
