from .result import Result
from .segmentor import Segmentor

__all__ = ['Result', 'Segmentor']
