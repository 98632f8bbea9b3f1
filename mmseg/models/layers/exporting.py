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
    return _tables.get() is not None


@contextmanager
def export_forms() -> Iterator[None]:
    """Layers compute as this file says, without gradients; for one pass of the network."""
    token = _tables.set({})
    try:
        yield
    finally:
        _tables.reset(token)


class _Pooling(NamedTuple):
    """Average pooling to several grids: rows of all of them x H, and for each grid its rows' count and columns x W."""

    rows: Tensor
    heights: list[int]
    columns: list[Tensor]


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
    return [part @ columns for part, columns in zip(parts, pooling.columns, strict=True)]


def _pooling(H: int, W: int, short_sides: Sequence[int], x: Tensor) -> _Pooling:
    sides = scalars((H, W), x.device)
    shorter, cells = sides.amin(dim=0), scalars(short_sides, x.device)[:, None]
    grids = [grid.tolist() for grid in (1000 * sides * cells + 501 * shorter) // (1000 * shorter)]
    for grid, short_side in zip(grids, short_sides, strict=True):
        for side in grid:
            torch._check(side >= short_side)
    return _Pooling(
        rows=torch.cat([_pooling_matrix(H, h, x) for h, _ in grids]),
        heights=[h for h, _ in grids],
        columns=[_pooling_matrix(W, w, x).T for _, w in grids],
    )


def _pooling_matrix(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """The matrix, outputs x inputs, that adaptive average pooling multiplies an axis with."""
    cell = torch.arange(outputs, device=like.device)[:, None]
    position = torch.arange(inputs, device=like.device)
    start, end = cell * inputs // outputs, ((cell + 1) * inputs + (outputs - 1)) // outputs
    return (((start <= position) & (position < end)) / (end - start)).to(like.dtype)


def scalars(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers that may be symbols, as a tensor."""
    return torch.stack([torch.full((), number, dtype=torch.int64, device=device) for number in numbers])


def weighted_samples(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """What ``embedding_bag`` computes: rows of a table, R x D, at ... x K places, weighted and added up: ... x D.

    No runtime has that operation, and GridSample, the usual stand-in, some have wrong: hence a plain gather.
    """
    samples = table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    return (samples * weights[..., None]).sum(dim=-2)
