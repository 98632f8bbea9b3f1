from .compiling import compile_parts
from .cuda_graphs import record_parts
from .embed import AdaptivePadding, PatchEmbed, PatchMerging
from .freezing import describe_trainable, freeze_parts, stages_to_freeze
from .pretrained import PretrainedModule
from .res_layer import ResLayer
from .shape_convert import nchw2nlc2nchw, nchw_to_nlc, nlc2nchw2nlc, nlc_to_nchw
from .wrappers import Upsample, recompute, resize

__all__ = [
    'AdaptivePadding',
    'PatchEmbed',
    'PatchMerging',
    'PretrainedModule',
    'ResLayer',
    'Upsample',
    'compile_parts',
    'describe_trainable',
    'freeze_parts',
    'nchw2nlc2nchw',
    'nchw_to_nlc',
    'nlc2nchw2nlc',
    'nlc_to_nchw',
    'recompute',
    'record_parts',
    'resize',
    'stages_to_freeze',
]
