from .aspp_head import ASPPHead, DepthwiseSeparableASPPHead
from .cascade_decode_head import BaseCascadeDecodeHead
from .decode_head import BaseDecodeHead
from .fcn_head import DepthwiseSeparableFCNHead, FCNHead
from .fpn_head import FPNHead
from .ham_head import LightHamHead
from .library_heads import ScoresHead, SegmentsHead
from .lr_head import LRHead
from .mask2former_head import Mask2FormerHead
from .ocr_head import OCRHead
from .psp_head import PSPHead
from .segformer_head import SegformerHead
from .uper_head import UPerHead

__all__ = [
    'ASPPHead',
    'BaseCascadeDecodeHead',
    'BaseDecodeHead',
    'DepthwiseSeparableASPPHead',
    'DepthwiseSeparableFCNHead',
    'FCNHead',
    'FPNHead',
    'LRHead',
    'LightHamHead',
    'Mask2FormerHead',
    'OCRHead',
    'PSPHead',
    'ScoresHead',
    'SegformerHead',
    'SegmentsHead',
    'UPerHead',
]
