"""Deformable attention on GPUs: one kernel forward, one backward, in Triton. See :func:`.ms_deform_attn`.

A program has some queries of one image and head, goes through levels and points, and keeps its sums: neither
samples nor places of cells are ever stored. Legend as in ``ms_deform_attn.py``; n, the queries of a program, is the
first dimension of what is in here, and d, its channels, the second.

What lies outside of a level is not read. Of a point that is not finite the result and its weight's gradient are NaN.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# Of a program: numbers of its sums, and warps that share them. Four numbers a thread are one access to each cell.
NUMBERS = 512
WARPS = 4


class FusedDeformAttn(torch.autograd.Function):
    """Weighted sums of bilinear samples.

    Computed in float32. The gradient of ``value`` is added up atomically: its last bits differ from run to run.

    Args:
        value: B x S x M x D, of float32, bfloat16 or float16.
        points, weights: as :func:`.ms_deform_attn` takes them, in float32.
        sides: width and height of each level, 2L whole numbers on the same device.

    Returns:
        B x N x M x D, of ``value``'s type.
    """

    @staticmethod
    def forward(ctx, value: Tensor, points: Tensor, weights: Tensor, sides: Tensor) -> Tensor:
        value, points, weights = value.contiguous(), points.contiguous(), weights.contiguous()
        ctx.save_for_backward(value, points, weights, sides)
        B, _, M, D = value.shape
        out = value.new_empty(B, points.shape[1], M, D)
        _launch(_forward, value, points, weights, sides, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, of_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        value, points, weights, sides = ctx.saved_tensors
        of_value = torch.zeros_like(value, dtype=torch.float32)
        of_points, of_weights = torch.empty_like(points), torch.empty_like(weights)
        _launch(_backward, value, points, weights, sides, of_out.contiguous(), of_value, of_points, of_weights)
        return of_value.to(value.dtype), of_points, of_weights, None


def _launch(kernel, value: Tensor, points: Tensor, weights: Tensor, sides: Tensor, *others: Tensor) -> None:
    (B, S, M, D), (_, N, _, L, K, _) = value.shape, points.shape
    channels = triton.next_power_of_2(D)
    queries = max(1, NUMBERS // channels)
    programs = B * triton.cdiv(N, queries) * M
    if programs:
        with torch.cuda.device_of(value):
            kernel[(programs,)](
                value, points, weights, sides, *others, N, S, M, D, L, K, queries, channels, num_warps=WARPS
            )


@triton.jit(do_not_specialize=['N', 'S'])
def _forward(
    value,
    points,
    weights,
    sides,
    out,
    N,
    S,
    M: tl.constexpr,
    D: tl.constexpr,
    L: tl.constexpr,
    K: tl.constexpr,
    QUERIES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    bag, table, d, here = _program(N, S, M, D, QUERIES, CHANNELS)
    channels = here[:, None] & (d < D)[None, :]
    sums = tl.zeros((QUERIES, CHANNELS), tl.float32)
    for level in range(L):
        width, height = tl.load(sides + 2 * level), tl.load(sides + 2 * level + 1)
        for k in tl.static_range(K):
            left, top, right, below, weight = _sample(
                points, weights, bag * (L * K) + level * K + k, here, width, height
            )
            for row in tl.static_range(2):
                for column in tl.static_range(2):
                    cell, inside = _cell(left + column, top + row, width, height)
                    near = (below if row else 1 - below) * weight * (right if column else 1 - right)
                    cells = value + (table + cell * (M * D))[:, None] + d[None, :]
                    x = tl.load(cells, mask=inside[:, None] & channels, other=0.0)
                    sums += near[:, None] * x.to(tl.float32)
        table += width * height * (M * D)
    tl.store(out + (bag * D)[:, None] + d[None, :], sums.to(out.dtype.element_ty), mask=channels)


@triton.jit(do_not_specialize=['N', 'S'])
def _backward(
    value,
    points,
    weights,
    sides,
    of_out,
    of_value,
    of_points,
    of_weights,
    N,
    S,
    M: tl.constexpr,
    D: tl.constexpr,
    L: tl.constexpr,
    K: tl.constexpr,
    QUERIES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    bag, table, d, here = _program(N, S, M, D, QUERIES, CHANNELS)
    channels = here[:, None] & (d < D)[None, :]
    gradient = tl.load(of_out + (bag * D)[:, None] + d[None, :], mask=channels, other=0.0).to(tl.float32)
    for level in range(L):
        width, height = tl.load(sides + 2 * level), tl.load(sides + 2 * level + 1)
        for k in tl.static_range(K):
            at = bag * (L * K) + level * K + k
            left, top, right, below, weight = _sample(points, weights, at, here, width, height)
            of_weight, of_x, of_y = tl.zeros_like(weight), tl.zeros_like(weight), tl.zeros_like(weight)
            for row in tl.static_range(2):
                for column in tl.static_range(2):
                    cell, inside = _cell(left + column, top + row, width, height)
                    across, down = right if column else 1 - right, below if row else 1 - below
                    cells, there = (table + cell * (M * D))[:, None] + d[None, :], inside[:, None] & channels
                    x = tl.load(value + cells, mask=there, other=0.0).to(tl.float32)
                    of_near = tl.sum(gradient * x, axis=1)
                    of_weight += down * across * of_near
                    of_x += (down if column else -down) * of_near
                    of_y += (across if row else -across) * of_near
                    near = down * weight * across
                    tl.atomic_add(of_value + cells, near[:, None] * gradient, mask=there, sem='relaxed')
            tl.store(of_weights + at, of_weight, mask=here)
            tl.store(of_points + 2 * at, of_x * weight * width, mask=here)
            tl.store(of_points + 2 * at + 1, of_y * weight * height, mask=here)
        table += width * height * (M * D)


@triton.jit
def _program(N, S, M: tl.constexpr, D: tl.constexpr, QUERIES: tl.constexpr, CHANNELS: tl.constexpr):
    """Which bags (of B x N x M) and channels a program has, where its values start, and which bags there are.

    Heads come first: programs that run at a time read and write the same neighbourhood.
    """
    program = tl.program_id(0)
    tiles = tl.cdiv(N, QUERIES)
    m, tile = program % M, program // M
    n = tile % tiles * QUERIES + tl.arange(0, QUERIES)
    b = (tile // tiles).to(tl.int64)
    return (b * N + n) * M + m, (b * S * M + m) * D, tl.arange(0, CHANNELS), n < N


@triton.jit
def _sample(points, weights, at, here, width, height):
    """The cell to the upper left of each point, how far to the right of it and below it the point is, its weight."""
    x = tl.load(points + 2 * at, mask=here, other=0.0) * width - 0.5  # cells' centres are whole numbers
    y = tl.load(points + 2 * at + 1, mask=here, other=0.0) * height - 0.5
    left, top = tl.floor(x), tl.floor(y)
    return left, top, x - left, y - top, tl.load(weights + at, mask=here, other=0.0)


@triton.jit
def _cell(column, row, width, height):
    """A cell's number within its level, and whether it is there; 0 where it is not."""
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = tl.where(inside, column, 0.0), tl.where(inside, row, 0.0)
    return row.to(tl.int64) * width + column.to(tl.int64), inside
