from .cascade_encoder_decoder import CascadeEncoderDecoder
from .encoder_decoder import EncoderDecoder
from .hf_segmentor import HFSegmentor
from .seg_tta import SegTTAModel
from .smp_model import SMPModel

__all__ = ['CascadeEncoderDecoder', 'EncoderDecoder', 'HFSegmentor', 'SMPModel', 'SegTTAModel']
