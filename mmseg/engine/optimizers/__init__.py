from .amp_optim_wrapper import AmpOptimWrapper
from .seg_optim_wrapper_constructor import SegOptimWrapperConstructor

__all__ = ['AmpOptimWrapper', 'SegOptimWrapperConstructor']
