"""Multi-scale deformable attention: each query looks at a few places of each level, which it chooses itself.

Source: Zhu et al., "Deformable DETR", ICLR 2021 (arXiv 2010.04159).

Legend: B images, N queries, M heads, L levels, K points per level, C channels, D = C / M; S cells of all
levels together, level after level, each row by row.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def ms_deform_attn(value: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bilinear samples. The place for a fused kernel, should one come.

    Each query and head is a bag of L x K x 4 cells with weights, which is PyTorch's ``embedding_bag``: no
    sample is ever stored, and the backward pass on CUDA sorts instead of adding atomically, so that it gives
    the same bits each time. Computed in float32 at least: half precision cannot tell neighbouring
    positions on a large map.

    Args:
        value: B x S x M x D.
        shapes: (height, width) of each level.
        points: B x N x M x L x K x 2, as (x, y): 0 is the left or upper edge of a level, 1 the other one. Cells
            outside count as 0.
        weights: B x N x M x L x K.

    Returns:
        B x N x M x D, of ``value``'s type.
    """
    B, S, M, D = value.shape
    N = points.shape[1]
    dtype = torch.promote_types(value.dtype, torch.float32)
    points, weights = points.to(dtype), weights.to(dtype)
    sizes = torch.tensor([(width, height) for height, width in shapes], device=value.device)  # L x 2
    areas = [height * width for height, width in shapes]
    starts = torch.tensor([sum(areas[:i]) for i in range(len(areas))], device=value.device)  # L

    place = points * sizes[:, None] - 0.5  # in cells, whose centres are whole numbers
    first = place.floor()
    beyond = place - first
    near = torch.stack([1 - beyond, beyond], dim=-1)  # weights of the two neighbours along x, and along y
    cell = torch.stack([first, first + 1], dim=-1)
    limit = sizes[:, None, :, None] - 1
    near = near * ((cell >= 0) & (cell <= limit))
    cell = cell.clamp(min=0).minimum(limit.to(dtype)).long()

    # B x N x M x L x K x 2 (along y) x 2 (along x)
    near = weights[..., None, None] * near[..., 1, :, None] * near[..., 0, None, :]
    cell = cell[..., 1, :, None] * sizes[:, 0].view(-1, 1, 1, 1) + cell[..., 0, None, :] + starts.view(-1, 1, 1, 1)
    image = torch.arange(B, device=value.device).view(-1, 1, 1, 1) * S
    head = torch.arange(M, device=value.device).view(-1, 1)
    row = (cell.flatten(3) + image) * M + head
    table = value.to(dtype).reshape(B * S * M, D)
    out = F.embedding_bag(row.flatten(0, 2), table, per_sample_weights=near.flatten(3).flatten(0, 2), mode='sum')
    return out.view(B, N, M, D).to(value.dtype)


class MSDeformAttention(nn.Module):
    """Deformable attention of B x N x C queries over the S cells of several levels -> B x N x C.

    Args:
        dim: channels C.
        num_heads: attention heads; divides ``dim``.
        num_levels: levels L.
        num_points: points K for each query, head and level.
    """

    def __init__(self, dim: int, num_heads: int = 8, num_levels: int = 3, num_points: int = 4) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'MSDeformAttention: {dim} channels do not split into num_heads={num_heads}')
        self.shape = (num_heads, num_levels, num_points)
        self.sampling_offsets = nn.Linear(dim, math.prod(self.shape) * 2)
        self.attention_weights = nn.Linear(dim, math.prod(self.shape))
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._init_weights()

    def _init_weights(self) -> None:
        """Each head starts out looking in a direction of its own, 1 to K cells away, at equal weights."""
        M, L, K = self.shape
        angle = torch.arange(M, dtype=torch.float32) * (2 * math.pi / M)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, K + 1, dtype=torch.float32)
        offsets = direction.view(M, 1, 1, 2) * steps.view(1, 1, K, 1)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(M, L, K, 2).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (self.attention_weights, self.value_proj, self.output_proj):
            nn.init.zeros_(linear.bias)

    def forward(self, query: Tensor, value: Tensor, reference: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Args:
        query: B x N x C.
        value: B x S x C.
        reference: N x 2, (x, y) in 0..1: where each query is.
        shapes: (height, width) of each level.
        """
        M, L, K = self.shape
        values = self.value_proj(value).unflatten(-1, (M, -1))
        offsets = self.sampling_offsets(query).float().unflatten(-1, (M, L, K, 2))  # in cells
        weights = self.attention_weights(query).float().unflatten(-1, (M, L * K)).softmax(-1).unflatten(-1, (L, K))
        sizes = torch.tensor([(width, height) for height, width in shapes], device=query.device)
        points = reference.view(-1, 1, 1, 1, 2) + offsets / sizes[:, None]
        return self.output_proj(ms_deform_attn(values, shapes, points, weights).flatten(2))
