"""Computing maps a strip of rows at a time, so that what lies between input and output stays in the cache.

A large map comes from fresh pages of memory at every call, and the next operation reads it from memory again. What
treats every place alone, or looks a few rows far, need not make it: strips go through all operations one by one.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .exporting import exporting

# Numbers in the largest map of a strip: they fit a CPU's cache, and fill a GPU.
STRIP = {'cpu': 2**20, 'cuda': 2**27}
SHORTEST = 8  # rows, so that those which neighbours read as well do not outweigh them


def strips(height: int, numbers_a_row: int, device: torch.device) -> list[slice]:
    """The rows 0 to ``height`` in strips that hold about STRIP numbers each; of nothing, one that is empty."""
    step = max(SHORTEST, STRIP.get(device.type, STRIP['cuda']) // max(numbers_a_row, 1))
    return [slice(start, min(start + step, height)) for start in range(0, max(height, 1), step)]


def strips_and_halos(height: int, numbers_a_row: int, halo: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """:func:`strips`, each with the rows up to ``halo`` rows away that it reads."""
    for rows in strips(height, numbers_a_row, device):
        yield rows, slice(max(rows.start - halo, 0), min(rows.stop + halo, height))


def in_strips(local: Callable[[Tensor], Tensor], x: Tensor, halo: int, width: int) -> Tensor:
    """``local(x)``, in strips where its maps are large and no gradients are wanted: the same numbers, faster.

    Args:
        local: keeps the shape B x C x H x W, and computes each row from those up to ``halo`` rows away, with
            zeros beyond the edges.
        x: B x C x H x W.
        halo: see ``local``.
        width: channels of the widest map that ``local`` makes.
    """
    B, _, H, W = x.shape
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or exporting():
        return local(x)
    parts = list(strips_and_halos(H, B * width * W, halo, x.device))
    if len(parts) == 1:
        return local(x)
    out = None
    for rows, reads in parts:
        part = local(x[:, :, reads])
        out = torch.empty_like(x, dtype=part.dtype) if out is None else out
        out[:, :, rows] = part[:, :, rows.start - reads.start : rows.stop - reads.start]
    return out
