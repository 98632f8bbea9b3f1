from .result import Result
from .segmentor import Segmentor
from .tiles import TiledSegmentor

__all__ = ['Result', 'Segmentor', 'TiledSegmentor']
