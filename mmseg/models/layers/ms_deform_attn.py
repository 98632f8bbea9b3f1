"""Multi-scale deformable attention: each query looks at a few places of each level, which it chooses itself.

Source: Zhu et al., "Deformable DETR", ICLR 2021 (arXiv 2010.04159).

Legend: B images, N queries, M heads, L levels, K points per level, C channels, D = C / M; S cells of all
levels together, level after level, each row by row.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .exporting import exporting, scalars, weighted_samples
from .from_host import from_host
from .linear import Linear
from .strips import strips
from .tensor_cache import tensor_cache
from .triton_kernels import Kernels, compare, kernels_on, plain_on_gpu


def ms_deform_attn(value: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bilinear samples.

    On GPUs by kernels of our own (:mod:`.deform_attn_kernels`), where :func:`_fused_on` has them. Elsewhere each query
    and head is a bag of L x K x 4 cells with weights, which is PyTorch's ``embedding_bag``: no sample is ever stored,
    and the backward pass on CUDA sorts instead of adding atomically, so that it gives the same bits each time. On the
    CPU that sorting is slow, and :class:`_SamplesOnCPU` has a backward pass of its own.
    Computed in float32 at least: half precision cannot tell neighbouring positions on a large map.

    Args:
        value: B x S x M x D.
        shapes: (height, width) of each level.
        points: B x N x M x L x K x 2, as (x, y): 0 is the left or upper edge of a level, 1 the other one. Cells
            outside count as 0.
        weights: B x N x M x L x K.

    Returns:
        B x N x M x D, of ``value``'s type.
    """
    dtype = torch.promote_types(value.dtype, torch.float32)
    points, weights = points.to(dtype), weights.to(dtype)
    if exporting():
        return _sample_for_export(value.to(dtype), points, weights, shapes).to(value.dtype)
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (value, points, weights))
    if plain_on_gpu(value) and (fused := _fused_for(value, trains)):
        _check_sizes(value, shapes, points, weights)
        return fused.apply(value, points, weights, _sides(shapes, 1, value))
    args = value.to(dtype), points, weights
    if trains and value.device.type == 'cpu':
        out = _SamplesOnCPU.apply(*args, shapes)
    elif trains:
        out = _sample(*args, shapes)
    else:
        out = _sample_in_strips(*args, shapes)
    return out.to(value.dtype)


def _fused_for(value: Tensor, trains: bool) -> Kernels | None:
    """The kernels for a plain tensor on a GPU; None where they are not to be had, or would not keep a promise."""
    if value.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return None
    if trains and torch.are_deterministic_algorithms_enabled():
        return None  # they add up atomically
    return _fused_on(value.device)


@lru_cache
def _fused_on(device: torch.device) -> Kernels | None:
    return kernels_on(device, _tried, 'deformable attention goes through embedding_bag')


def _tried(device: torch.device) -> Kernels:
    from .deform_attn_kernels import FusedDeformAttn

    shapes = [(3, 4), (2, 2)]

    def fused(value: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        return FusedDeformAttn.apply(value, points, weights, _sides(shapes, 1, value))

    def plain(value: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        return _sample(value, points, weights, shapes)

    compare(device, fused, plain, (2, 16, 2, 32), (2, 5, 2, 2, 3, 2), (2, 5, 2, 2, 3))
    return FusedDeformAttn


def _check_sizes(value: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor) -> None:
    """The kernels read where they are told to."""
    (B, S, M, _), cells = value.shape, sum(height * width for height, width in shapes)
    expected = (B, points.shape[1], M, len(shapes), weights.shape[-1])
    if cells != S or points.shape != (*expected, 2) or weights.shape != expected:
        raise ValueError(
            f'ms_deform_attn: value {tuple(value.shape)}, points {tuple(points.shape)} and weights '
            f'{tuple(weights.shape)} do not go with levels of {list(shapes)}: B x S x M x D with S={cells}, '
            f'B x N x M x L x K x 2 and B x N x M x L x K with L={len(shapes)} do'
        )


def _sides(shapes: Sequence[tuple[int, int]], times: int, x: Tensor) -> Tensor:
    """Width and height of each level, ``times`` times over, where ``x`` is: L x times x 2 whole numbers in a row."""
    sides = tuple(side for height, width in shapes for side in (width, height) * times)
    if exporting():
        return scalars(sides, x.device)
    return _kept_on_gpu(sides, x.device) if plain_on_gpu(x) else torch.tensor(sides, device=x.device)


@tensor_cache
def _kept_on_gpu(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    return from_host(numbers, device)


def _sample(value: Tensor, points: Tensor, weights: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    rows, near = _cells(points, weights, shapes)
    B, S, M, D = value.shape
    rows = rows + S * M * torch.arange(B, device=value.device).view(-1, 1, 1, 1)
    out = F.embedding_bag(
        rows.flatten(0, 2), value.reshape(B * S * M, D), per_sample_weights=near.flatten(0, 2), mode='sum'
    )
    return out.view(B, points.shape[1], M, D)


def _sample_for_export(value: Tensor, points: Tensor, weights: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    rows, near = _cells(points, weights, shapes)
    B, S, M, D = value.shape
    rows = rows + S * M * torch.arange(B, device=value.device).view(-1, 1, 1, 1)
    levels = zip(rows.chunk(len(shapes), dim=-1), near.chunk(len(shapes), dim=-1), strict=True)
    return sum(weighted_samples(value.reshape(B * S * M, D), *level) for level in levels)


def _sample_in_strips(value: Tensor, points: Tensor, weights: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    parts = _query_strips(points)
    outs = [_sample(value, points[:, part], weights[:, part], shapes) for part in parts]
    return outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)


def _query_strips(points: Tensor) -> list[slice]:
    B, N, M, L, K, _ = points.shape
    return strips(N, B * M * L * K * 4, points.device)


class _SamplesOnCPU(torch.autograd.Function):
    """:func:`_sample`, whose backward pass computes places and weights of cells anew, for one head at a time.

    One head's values, and its gradients, stay in the cache. What a cell's value receives is a weighted sum over the
    bags that it is in: ``embedding_bag`` the other way round, after a sort.
    """

    @staticmethod
    def forward(ctx, value: Tensor, points: Tensor, weights: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        ctx.save_for_backward(value, points, weights)
        ctx.shapes = shapes
        return _sample_in_strips(value, points, weights, shapes)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        value, points, weights = ctx.saved_tensors
        B, S, M, _ = value.shape
        of_value = value.new_zeros(value.shape)
        of_points, of_weights = points.new_empty(points.shape), weights.new_empty(weights.shape)
        for b, m in itertools.product(range(B), range(M)):
            table = value[b, :, m].contiguous()  # S x D
            for part in _query_strips(points[b : b + 1, :, m : m + 1]):
                inputs = [x[b : b + 1, part, m : m + 1].detach().requires_grad_() for x in (points, weights)]
                with torch.enable_grad():
                    rows, near = _cells(*inputs, ctx.shapes)
                out = gradient[b, part, m].contiguous()  # bags x D
                of_near = _products_of_samples(out, table, rows[0, :, 0])
                of_inputs = torch.autograd.grad(near, inputs, of_near.view_as(near))
                of_points[b, part, m], of_weights[b, part, m] = (x[0, :, 0] for x in of_inputs)
                of_value[b, :, m] += _scatter(out, rows[0, :, 0], near.detach()[0, :, 0], S)
        return of_value, of_points, of_weights, None


def _products_of_samples(out: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Of each bag's row of ``out``, bags x D, with the rows of ``table`` that it samples, bags x cells."""
    starts = torch.arange(0, rows.numel(), rows.shape[1])
    bags = torch.arange(len(rows)).repeat_interleave(rows.shape[1])
    mode = 0  # a sum
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(out, table, rows.flatten(), starts, bags, mode)


def _scatter(out: Tensor, rows: Tensor, weights: Tensor, size: int) -> Tensor:
    """Weighted sums, ``size`` x D, of the rows of ``out``, bags x D, at the cells that each goes to, bags x cells."""
    cells, order = rows.flatten().to(torch.int16 if size < 2**15 else torch.int32).sort(stable=True)
    bags = torch.arange(len(rows)).repeat_interleave(rows.shape[1])
    starts = torch.searchsorted(cells, torch.arange(size, dtype=cells.dtype))
    bags, weights = bags.index_select(0, order), weights.flatten().index_select(0, order)
    return F.embedding_bag(bags, out, starts, per_sample_weights=weights, mode='sum')


def _cells(points: Tensor, weights: Tensor, shapes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """What each bag adds up: rows of an image's SM x D values, and their weights; both B x N x M x LK4.

    Levels, axes and neighbours each go through the arithmetic in tensors of their own, B x N x M x K, since
    broadcasting along short innermost dimensions costs many times more.
    """
    rows, near, start = [], [], 0
    for (height, width), place, weight in zip(shapes, points.unbind(3), weights.unbind(3), strict=True):
        columns = _neighbours(place[..., 0] * width - 0.5, width)  # cells' centres are whole numbers
        for row, row_weight in _neighbours(place[..., 1] * height - 0.5, height):
            row, row_weight = row * width + start, row_weight * weight
            rows += [row + column for column, _ in columns]
            near += [row_weight * column_weight for _, column_weight in columns]
        start += height * width
    M = points.shape[2]
    cells = torch.cat(rows, dim=-1).long()
    return cells * M + torch.arange(M, device=points.device).view(-1, 1), torch.cat(near, dim=-1)


def _neighbours(place: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The two cells along an axis that a place lies between, and their weights: 0 beyond the edges."""
    first = place.floor()
    beyond = place - first
    pairs = (first, 1 - beyond), (first + 1, beyond)
    return [(cell.clamp(0, size - 1), weight * ((cell >= 0) & (cell < size))) for cell, weight in pairs]


def _softmax(x: Tensor) -> Tensor:
    """Over the last dimension, which is so short that PyTorch takes 5 times longer on a CPU than over the first one."""
    if x.device.type != 'cpu' or exporting() or torch.compiler.is_compiling():
        return x.softmax(-1)
    return x.movedim(-1, 0).contiguous().softmax(0).movedim(0, -1).contiguous()


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
        self.sampling_offsets = Linear(dim, math.prod(self.shape) * 2)
        self.attention_weights = Linear(dim, math.prod(self.shape))
        self.value_proj = Linear(dim, dim)
        self.output_proj = Linear(dim, dim)
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
        offsets = self.sampling_offsets(query).float().unflatten(-1, (M, L * K * 2))  # in cells
        weights = _softmax(self.attention_weights(query).float().unflatten(-1, (M, L * K))).unflatten(-1, (L, K))
        sides = _sides(shapes, K, query)  # LK2
        points = (reference.repeat(1, L * K)[:, None] + offsets / sides).unflatten(-1, (L, K, 2))
        return self.output_proj(ms_deform_attn(values, shapes, points, weights).flatten(2))
