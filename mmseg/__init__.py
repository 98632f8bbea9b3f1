"""LRFormer: semantic segmentation with low-resolution self-attention."""

from mmengine.utils import digit_version

from .version import __version__

__all__ = ['__version__', 'digit_version']
