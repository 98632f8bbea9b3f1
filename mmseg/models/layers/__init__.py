from .attention import FFN, MultiheadAttention
from .deform_conv import build_deform_conv
from .deterministic import AdaptiveAvgPool2d, adaptive_avg_pool2d, adaptive_avg_pools, interpolate_bilinear
from .exporting import export_forms, exporting
from .from_host import from_host
from .linear import Linear
from .ms_deform_attn import MSDeformAttention, ms_deform_attn
from .positional_encoding import sine_positional_encoding
from .precision import full_precision
from .strips import in_strips, strips

__all__ = [
    'AdaptiveAvgPool2d',
    'FFN',
    'Linear',
    'MSDeformAttention',
    'MultiheadAttention',
    'adaptive_avg_pool2d',
    'adaptive_avg_pools',
    'full_precision',
    'build_deform_conv',
    'export_forms',
    'exporting',
    'from_host',
    'in_strips',
    'interpolate_bilinear',
    'ms_deform_attn',
    'sine_positional_encoding',
    'strips',
]
