from .encoder_decoder import EncoderDecoder
from .seg_tta import SegTTAModel

__all__ = ['EncoderDecoder', 'SegTTAModel']
