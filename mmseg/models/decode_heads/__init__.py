from .decode_head import BaseDecodeHead
from .lr_head import LRHead

__all__ = ['BaseDecodeHead', 'LRHead']
