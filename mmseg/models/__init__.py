from .backbones import *  # noqa: F401,F403
from .builder import build_backbone, build_head, build_loss, build_segmentor
from .data_preprocessor import SegDataPreProcessor
from .decode_heads import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .necks import *  # noqa: F401,F403
from .segmentors import *  # noqa: F401,F403

__all__ = ['SegDataPreProcessor', 'build_backbone', 'build_head', 'build_loss', 'build_segmentor']
