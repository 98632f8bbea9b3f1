"""Values of maps at points between their cells. Points are (x, y) in 0..1 from edge to edge of a map.

Legend: N maps, P points, H x W cells; B label maps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_maps(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples, 0 beyond the edges: N x C x H x W at N x P x 2 -> N x C x P."""
    return F.grid_sample(maps, (2 * points - 1)[:, :, None], align_corners=False).squeeze(3)


def sample_labels(labels: Tensor, index: Tensor, points: Tensor, outside: int) -> tuple[Tensor, Tensor]:
    """What a bilinear sample of any class's mask needs, without making the masks.

    ``(label == c) * weight``, summed over the four corners, is the sample of class c's mask.

    Args:
        labels: B x H x W.
        index: N, which label map each row of points is for.
        points: N x P x 2.
        outside: the label beyond the edges.

    Returns:
        label and weight of the four cells around each point, both N x P x 4.
    """
    height, width = labels.shape[-2:]
    place = points * points.new_tensor([width, height]) - 0.5
    first = place.floor()
    beyond = place - first
    x, y = (first[..., axis, None].long() + torch.arange(2, device=points.device) for axis in (0, 1))  # N x P x 2
    weight_x, weight_y = (torch.stack([1 - beyond[..., axis], beyond[..., axis]], dim=-1) for axis in (0, 1))

    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :]
    cell = y.clamp(0, height - 1)[..., :, None] * width + x.clamp(0, width - 1)[..., None, :]
    corners = labels.flatten()[cell + index.view(-1, 1, 1, 1) * (height * width)]
    corners = corners.masked_fill(~inside, outside)
    return corners.flatten(2), (weight_y[..., :, None] * weight_x[..., None, :]).flatten(2)
