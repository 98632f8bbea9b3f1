"""``compile=True``: the parts that repeat, compiled once for all of a shape and for images of any size."""

import logging
import os
import sys

import torch
from mmengine.logging import print_log
from torch import nn
from torch.fx.experimental import _config as shapes_config


def compile_parts(model: nn.Module, **options) -> int:
    """Compiles the MLPs of a model's blocks and layers in place; names of weights stay.

    A part is compiled when it is first called. Those of equal widths share the result: each width is compiled at most
    three times, to train, for one image and for several, and not for images of yet other sizes. (A map of a single
    row or column, as an image with a side of 32 pixels gives, counts as another kind of map.)

    Args:
        model: has submodules whose class says ``compilable = True``.
        options: of ``torch.compile``, e.g. ``mode='max-autotune-no-cudagraphs'``.

    Returns:
        How many submodules there are.

    Raises:
        ValueError: there are none.
    """
    parts = [module for module in model.modules() if getattr(module, 'compilable', False)]
    if not parts:
        raise ValueError('compile: the model has no part that can be compiled; leave it out')
    if next(model.parameters()).device.type == 'cpu':
        slower = 'compile: in float32 on a CPU, compiled parts are slower than plain ones (docs/models.md)'
        print_log(slower, logger='current', level=logging.WARNING)
    # One entry for each width, type and mode; with fewer PyTorch would give up and run the rest uncompiled.
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, 64)
    # Else sides that are equal in the first image would be one symbol, and other images compiled for anew.
    shapes_config.use_duck_shape = False
    # PyTorch's compiling processes look into site-packages before the standard library, whose `typing` is hidden there
    # where an old package is installed (by cityscapesScripts): they shall look where this one does.
    os.environ.setdefault('TORCH_CUSTOM_PYTHONPATH', os.pathsep.join(sys.path))
    for part in parts:
        part.compile(**{'dynamic': True, **options})
    return len(parts)
