"""``compile=True``: the parts that repeat, compiled once for all of a shape and for images of any size."""

import torch
from torch import nn


def compile_parts(model: nn.Module, **options) -> int:
    """Compiles the MLPs of a model's blocks and layers in place; names of weights stay.

    A part is compiled when it is first called. Those of equal widths share the result: a model compiles one or two for
    each of its widths, as many again where it also trains, and none for images of yet other sizes.

    Args:
        model: has submodules whose class says ``compilable = True``.
        options: of ``torch.compile``, e.g. ``mode='max-autotune-no-cudagraphs'``.

    Returns:
        How many submodules there are.
    """
    # One entry for each width, type and mode; with fewer PyTorch would give up and run the rest uncompiled.
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, 64)
    parts = [module for module in model.modules() if getattr(module, 'compilable', False)]
    for part in parts:
        part.compile(**{'dynamic': True, **options})
    return len(parts)
