from .attention import FFN, MultiheadAttention
from .deterministic import adaptive_avg_pool2d, interpolate_bilinear
from .ms_deform_attn import MSDeformAttention, ms_deform_attn
from .positional_encoding import sine_positional_encoding
from .strips import in_strips, strips

__all__ = [
    'FFN',
    'MSDeformAttention',
    'MultiheadAttention',
    'adaptive_avg_pool2d',
    'in_strips',
    'interpolate_bilinear',
    'ms_deform_attn',
    'sine_positional_encoding',
    'strips',
]
