"""Values of maps at points between their cells. Points are (x, y) in 0..1 from edge to edge of a map.

A bilinear sample reads four cells. Legend: N rows of points, P points, H x W cells.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers import deterministic


class Corners(NamedTuple):
    """The four cells around each point, all 4 x N x P: short innermost dimensions would cost many times more."""

    cell: Tensor  # its place in a flat map of H x W
    weight: Tensor
    inside: Tensor  # whether there is such a cell: beyond the edges there is none


def corners(points: Tensor, height: int, width: int) -> Corners:
    """The cells that bilinear samples at N x P x 2 points read."""
    (x, weight_x, inside_x), (y, weight_y, inside_y) = (
        _neighbours(points[..., axis], size) for axis, size in enumerate((width, height))
    )
    pairs = [(i, j) for i in range(2) for j in range(2)]
    return Corners(
        torch.stack([y[i] * width + x[j] for i, j in pairs]),
        torch.stack([weight_y[i] * weight_x[j] for i, j in pairs]),
        torch.stack([inside_y[i] & inside_x[j] for i, j in pairs]),
    )


def _neighbours(places: Tensor, size: int) -> tuple[list[Tensor], ...]:
    """Of the two cells that places in 0..1 lie between along an axis: which they are, their weights, if they exist."""
    places = places * size - 0.5  # cells' centres are whole numbers
    first = places.floor()
    beyond = places - first
    cells = [first.long(), first.long() + 1]
    inside = [(cell >= 0) & (cell < size) for cell in cells]
    return [cell.clamp(0, size - 1) for cell in cells], [1 - beyond, beyond], inside


def sample_maps(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples of C maps at the same points, 0 beyond the edges: N x C x H x W at N x P x 2 -> N x C x P."""
    return F.grid_sample(maps, (2 * points - 1)[:, :, None], align_corners=False).squeeze(3)


def sample_masks(masks: Tensor, points: Tensor) -> Tensor:
    """The same of one map each, N x H x W -> N x P, in deterministic mode by what has such a gradient on CUDA as well.

    That takes a third of a T+ step on an H200.
    """
    if not deterministic.needed(masks):
        return sample_maps(masks[:, None], points)[:, 0]
    cell, weight, inside = corners(points, *masks.shape[1:])
    first = torch.arange(len(masks), device=masks.device).view(-1, 1) * masks[0].numel()
    bags, weight = ((x.flatten(1).T.contiguous()) for x in (cell + first, weight * inside))
    samples = F.embedding_bag(bags, masks.reshape(-1, 1), per_sample_weights=weight, mode='sum')
    return samples.view(points.shape[:2])


def sample_labels(labels: Tensor, index: Tensor, points: Tensor, outside: int) -> tuple[Tensor, Tensor]:
    """What a bilinear sample of any class's mask needs, without making the masks.

    ``(label == c) * weight``, summed over the four corners, is the sample of class c's mask.

    Args:
        labels: B x H x W.
        index: N, which label map each row of points is for.
        points: N x P x 2.
        outside: the label beyond the edges.

    Returns:
        label and weight of the four cells around each point, both 4 x N x P.
    """
    cell, weight, inside = corners(points, *labels.shape[1:])
    cell = cell + index.view(-1, 1) * labels[0].numel()
    found = labels.flatten().index_select(0, cell.flatten()).view_as(cell)  # faster than ``take``
    return found.masked_fill_(~inside, outside), weight
