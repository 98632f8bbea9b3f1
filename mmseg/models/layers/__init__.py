from .attention import FFN, MultiheadAttention
from .ms_deform_attn import MSDeformAttention, ms_deform_attn
from .positional_encoding import sine_positional_encoding

__all__ = ['FFN', 'MSDeformAttention', 'MultiheadAttention', 'ms_deform_attn', 'sine_positional_encoding']
