"""LRFormer: semantic segmentation with low-resolution self-attention."""

import importlib.metadata
import warnings

from mmengine.utils import digit_version

from .utils import custom_imports  # noqa: F401 (configs may be read before anything else is imported)
from .version import __version__

__all__ = ['__version__', 'digit_version']

try:
    _other = importlib.metadata.version('mmsegmentation')
except importlib.metadata.PackageNotFoundError:
    pass
else:
    warnings.warn(
        f'mmsegmentation {_other} is installed beside LRFormer; both bring a package mmseg, and which one is '
        f'imported depends on the path (now: {__file__}). Run: pip uninstall mmsegmentation',
        stacklevel=2,
    )
