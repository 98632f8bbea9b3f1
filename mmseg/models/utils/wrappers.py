from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers import exporting, interpolate_bilinear


def resize(
    input: Tensor,
    size: Sequence[int] | None = None,
    scale_factor: float | None = None,
    mode: str = 'bilinear',
    align_corners: bool | None = False,
) -> Tensor:
    """Resizes B x C x h x w maps, to ``size`` (H, W) or by ``scale_factor``; a map of that size returns as it is."""
    if size is not None and not exporting() and tuple(input.shape[-2:]) == tuple(size):
        return input
    if size is not None and mode == 'bilinear':
        return interpolate_bilinear(input, size, bool(align_corners))
    if scale_factor is not None and mode == 'bilinear':
        scaled = [side * scale_factor for side in input.shape[-2:]]
        if all(side == int(side) for side in scaled):  # else the factor, not the sizes, decides where samples lie
            return interpolate_bilinear(input, [int(side) for side in scaled], bool(align_corners))
    return F.interpolate(input, size, scale_factor, mode, align_corners if mode in ('bilinear', 'bicubic') else None)


class Upsample(nn.Module):
    """:func:`resize` by a factor, as a layer."""

    def __init__(self, scale_factor: float, mode: str = 'bilinear', align_corners: bool | None = False) -> None:
        super().__init__()
        self.scale_factor, self.mode, self.align_corners = scale_factor, mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=self.align_corners)


def recompute(function: Callable, *args, when: bool):
    """``function(*args)``; with ``when``, activations are computed again in the backward pass instead of kept."""
    return checkpoint(function, *args, use_reentrant=False) if when and torch.is_grad_enabled() else function(*args)
