from .embed import AdaptivePadding, PatchEmbed, PatchMerging
from .res_layer import ResLayer
from .shape_convert import nchw2nlc2nchw, nchw_to_nlc, nlc2nchw2nlc, nlc_to_nchw
from .wrappers import Upsample, recompute, resize

__all__ = [
    'AdaptivePadding',
    'PatchEmbed',
    'PatchMerging',
    'ResLayer',
    'Upsample',
    'nchw2nlc2nchw',
    'nchw_to_nlc',
    'nlc2nchw2nlc',
    'nlc_to_nchw',
    'recompute',
    'resize',
]
