"""Where a map's cells are, for attention that does not see it."""

import math

import torch
from torch import Tensor


def sine_positional_encoding(
    height: int, width: int, channels: int, device: torch.device | None = None, temperature: float = 10000.0
) -> Tensor:
    """Sines and cosines of each cell's row and column, for a map of any size: HW x C, float32.

    The first half of the channels tells the row, the second the column. Both run from 0 to 2 pi over the
    map, at wavelengths that grow geometrically up to ``temperature`` times the map; sine and cosine of a
    wavelength follow each other. Source: DETR (arXiv 2005.12872), its normalized encoding.

    Args:
        height, width: of the map, H and W.
        channels: C, a multiple of 4.
        device: where to make it.
        temperature: the longest wavelength over the shortest.
    """
    half = channels // 2
    frequency = temperature ** (-2 * torch.arange(half // 2, dtype=torch.float32, device=device) / half)

    def waves(count: int) -> Tensor:
        position = torch.arange(1, count + 1, dtype=torch.float32, device=device) / (count + 1e-6) * (2 * math.pi)
        phase = position[:, None] * frequency
        return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)  # count x C/2

    rows = waves(height)[:, None].expand(-1, width, -1)
    columns = waves(width)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)
