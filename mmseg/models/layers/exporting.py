"""Operations as an exported graph needs them: for maps of any size, in few and plain operators.

Sizes are symbols in an exported graph. A branch on one would be taken once, as the example has it; a number computed
from several is better made by tensors, since the symbolic algebra that goes on with it takes minutes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

_tables: ContextVar[dict | None] = ContextVar('tables', default=None)  # made in this pass of the network


def exporting() -> bool:
    """Whether :func:`export_forms` is on."""
    # Dynamo before PyTorch 2.14 cannot trace the variable, and compiles nothing of what is exported.
    return not torch.compiler.is_dynamo_compiling() and _tables.get() is not None


@contextmanager
def export_forms() -> Iterator[None]:
    """Layers compute as this file says, without gradients; for one pass of the network."""
    token = _tables.set({})
    try:
        yield
    finally:
        _tables.reset(token)


class _Pooling(NamedTuple):
    """Average pooling to several grids: what each axis is multiplied with, grid after grid."""

    rows: Tensor  # sum of heights x H
    columns: Tensor  # sum of widths x W
    heights: list[int]
    widths: list[int]


def low_res_pools(x: Tensor, short_sides: Sequence[int]) -> list[Tensor]:
    """LRFormer's pooling to several grids, B x C x H x W -> B x C x h x w each, as matrix products.

    The long side of a grid is ``round(long * short_side / short + 0.001)`` as published, in whole numbers: the same for
    all maps whose shorter side is below 1000. Of the shorter side it gives ``short_side``, so there is no branch.
    """
    H, W = x.shape[-2:]
    key = str((H, W)), tuple(short_sides), x.dtype
    if (pooling := _tables.get().get(key)) is None:
        pooling = _tables.get()[key] = _pooling(H, W, short_sides, x)
    parts = (pooling.rows @ x).split(pooling.heights, dim=2)
    columns = pooling.columns.split(pooling.widths)
    return [part @ matrix.T for part, matrix in zip(parts, columns, strict=True)]


def _pooling(H: int, W: int, short_sides: Sequence[int], x: Tensor) -> _Pooling:
    sides = scalars((H, W), x.device)[:, None]
    shorter = sides.amin(dim=0)
    grids = (1000 * sides * torch.tensor(short_sides, device=x.device) + 501 * shorter) // (1000 * shorter)  # 2 x grids
    if isinstance(H, int) and isinstance(W, int):  # of a fixed size; read from a tensor they would be symbols again
        m = min(H, W)
        heights, widths = ([(1000 * side * s + 501 * m) // (1000 * m) for s in short_sides] for side in (H, W))
    else:
        heights, widths = (counts.tolist() for counts in grids)
        for counts in (heights, widths):
            for count, short_side in zip(counts, short_sides, strict=True):
                torch._check(count >= short_side)
    rows = _pooling_matrix(H, grids[0], sum(heights)).to(x.dtype)
    columns = _pooling_matrix(W, grids[1], sum(widths)).to(x.dtype)
    return _Pooling(rows, columns, heights, widths)


def _pooling_matrix(inputs: int, counts: Tensor, total: int) -> Tensor:
    """The matrices that adaptive average pooling multiplies an axis with, one below the other: total x inputs.

    Args:
        inputs: length of the axis.
        counts: cells of each grid along it.
        total: their sum.
    """
    order = torch.arange(len(counts), device=counts.device)
    ends = (counts * (order <= order[:, None])).sum(dim=1)  # TensorRT computes no cumsum of sizes
    cell = torch.arange(total, device=counts.device)
    grid = (cell[:, None] >= ends).sum(dim=1)
    cell, outputs = (cell - (ends - counts)[grid])[:, None], counts[grid][:, None]
    start, end = cell * inputs // outputs, ((cell + 1) * inputs + (outputs - 1)) // outputs
    position = torch.arange(inputs, device=counts.device)
    return ((start <= position) & (position < end)) / (end - start)


def scalars(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers that may be symbols, as a tensor."""
    return torch.stack([torch.full((), number, dtype=torch.int64, device=device) for number in numbers])


def weighted_samples(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """What ``embedding_bag`` computes: rows of a table, R x D, at ... x K places, weighted and added up: ... x D.

    No runtime has that operation, and GridSample, the usual stand-in, some have wrong: hence a plain gather.
    """
    samples = table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    return (samples * weights[..., None]).sum(dim=-2)
