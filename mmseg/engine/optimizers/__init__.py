from .amp_optim_wrapper import AmpOptimWrapper
from .optim_wrapper import OptimWrapper
from .seg_optim_wrapper_constructor import SegOptimWrapperConstructor

__all__ = ['AmpOptimWrapper', 'OptimWrapper', 'SegOptimWrapperConstructor']
