from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ..layers import interpolate_bilinear


def resize(
    input: Tensor,
    size: Sequence[int] | None = None,
    scale_factor: float | None = None,
    mode: str = 'bilinear',
    align_corners: bool | None = False,
) -> Tensor:
    """Resizes B x C x h x w maps, to ``size`` (H, W) or by ``scale_factor``; a map of that size returns as it is."""
    if size is not None and tuple(input.shape[-2:]) == tuple(size):
        return input
    if size is not None and mode == 'bilinear':
        return interpolate_bilinear(input, size, bool(align_corners))
    return F.interpolate(input, size, scale_factor, mode, align_corners if mode in ('bilinear', 'bicubic') else None)
