from .decode_head import BaseDecodeHead
from .lr_head import LRHead
from .mask2former_head import Mask2FormerHead

__all__ = ['BaseDecodeHead', 'LRHead', 'Mask2FormerHead']
