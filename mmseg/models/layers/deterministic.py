"""Pooling and resizing whose gradients on CUDA have the same bits every time.

PyTorch's CUDA kernels for the backward passes of adaptive average pooling and bilinear resizing add up with atomic
operations, in no fixed order. Both operations are linear and separable: one small matrix for each axis. As two matrix
products they are the same functions, and their gradients are matrix products as well, which have a fixed order.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .precision import full_precision
from .tensor_cache import tensor_cache
from .triton_kernels import plain_on_gpu


def adaptive_avg_pool2d(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """:func:`torch.nn.functional.adaptive_avg_pool2d`, by :func:`pool_by_matmul` where that alone is deterministic.

    Args:
        x: B x C x H x W.
        output_size: (h, w), each at least 1.

    Returns:
        B x C x h x w.
    """
    return pool_by_matmul(x, output_size) if needed(x) else F.adaptive_avg_pool2d(x, tuple(output_size))


def adaptive_avg_pools(x: Tensor, output_sizes: Sequence[Sequence[int]]) -> list[Tensor]:
    """:func:`torch.nn.functional.adaptive_avg_pool2d` to several sizes, on GPUs by :func:`pools_by_matmul`."""
    if plain_on_gpu(x) or needed(x):
        return pools_by_matmul(x, output_sizes)
    return [F.adaptive_avg_pool2d(x, tuple(size)) for size in output_sizes]


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """:func:`adaptive_avg_pool2d` as a layer, to ``output_size`` cells a side."""

    def forward(self, x: Tensor) -> Tensor:
        size = self.output_size
        return adaptive_avg_pool2d(x, (size, size) if isinstance(size, int) else size)


def interpolate_bilinear(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """:func:`torch.nn.functional.interpolate`, by :func:`resize_by_matmul` where that alone is deterministic.

    Args:
        x: B x C x H x W.
        size: (h, w), each at least 1.
        align_corners: whether the centres of the corner pixels, not their outer edges, stay where they are.

    Returns:
        B x C x h x w.
    """
    if needed(x):
        return resize_by_matmul(x, size, align_corners)
    return F.interpolate(x, tuple(size), mode='bilinear', align_corners=align_corners)


def pool_by_matmul(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """Adaptive average pooling as two matrix products: cell i of n is the mean of [floor(i H/n), ceil((i+1) H/n))."""
    return _separable(x, output_size, pooling_matrix)


def pools_by_matmul(x: Tensor, output_sizes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Adaptive average pooling to several grids, B x C x H x W -> B x C x h x w each: the map is read once for all.

    The rows of all grids are one product with the map as channels-last has it, H x WC. Half precision adds up in it by
    weights of 0 and 1, which it holds exactly, and goes on in float32.
    """
    H, W = x.shape[-2:]
    heights, widths = zip(*output_sizes, strict=True)
    full = torch.promote_types(x.dtype, torch.float32)
    with full_precision(x):
        rows = _cached(_pooling_sums, H, heights, x.dtype, x.device) @ x.permute(0, 2, 3, 1).flatten(2)
        rows = rows.to(full) * _cached(_shares, H, heights, full, x.device)[:, None]
        grids = []
        for part, width in zip(rows.split(heights, dim=1), widths, strict=True):
            grid = _cached(pooling_matrix, W, width, full, x.device) @ part.unflatten(2, (W, -1))
            grids.append(grid.permute(0, 3, 1, 2).to(x.dtype))
    return grids


def resize_by_matmul(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Bilinear resizing, without antialiasing as PyTorch's default, as two matrix products."""
    return _separable(x, size, _bilinear(align_corners))


def resize_matrix(
    inputs: int,
    outputs: int,
    align_corners: bool = False,
    dtype: torch.dtype = torch.float64,
    device: torch.device = torch.device('cpu'),  # noqa: B008 (read only)
) -> Tensor:
    """The matrix, outputs x inputs, that :func:`resize_by_matmul` multiplies an axis with; read only."""
    return _cached(_bilinear(align_corners), inputs, outputs, dtype, device)


def _bilinear(align_corners: bool) -> Callable[[int, int], Tensor]:
    return aligned_bilinear_matrix if align_corners else bilinear_matrix


def pooling_matrix(inputs: int, outputs: int) -> Tensor:
    """The matrix, outputs x inputs, that adaptive average pooling multiplies an axis with."""
    cell, position = torch.arange(outputs)[:, None], torch.arange(inputs)
    start, end = cell * inputs // outputs, -(-(cell + 1) * inputs // outputs)
    return ((start <= position) & (position < end)) / (end - start).double()


def _pooling_sums(inputs: int, outputs: Sequence[int]) -> Tensor:
    """The pooling matrices to several lengths, one below the other, with sums in place of means."""
    return torch.cat([pooling_matrix(inputs, count) for count in outputs]).ceil()


def _shares(inputs: int, outputs: Sequence[int]) -> Tensor:
    """What a row of :func:`_pooling_sums` is to be multiplied with for a mean."""
    return torch.cat([pooling_matrix(inputs, count) for count in outputs]).amax(dim=1)


def bilinear_matrix(inputs: int, outputs: int) -> Tensor:
    """The matrix, outputs x inputs, that bilinear resizing multiplies an axis with."""
    pixel = torch.arange(outputs, dtype=torch.float64)
    return _between_pixels(((pixel + 0.5) * (inputs / outputs) - 0.5).clamp(min=0), inputs)


def aligned_bilinear_matrix(inputs: int, outputs: int) -> Tensor:
    """As :func:`bilinear_matrix`, with the centres of the corner pixels where they are."""
    pixel = torch.arange(outputs, dtype=torch.float64)
    return _between_pixels(pixel * ((inputs - 1) / (outputs - 1) if outputs > 1 else 0.0), inputs)


def _between_pixels(source: Tensor, inputs: int) -> Tensor:
    """Each output's two neighbours in the input, weighted by its distance from them."""
    left = source.long().clamp(max=inputs - 1)
    weight = source - left
    matrix = torch.zeros(len(source), inputs, dtype=torch.float64)
    rows = torch.arange(len(source))
    matrix[rows, left] = 1 - weight
    matrix[rows, (left + 1).clamp(max=inputs - 1)] += weight  # at the edge, both are the last pixel
    return matrix


def _separable(x: Tensor, size: Sequence[int], matrix_of: Callable[[int, int], Tensor]) -> Tensor:
    """rows (h x H) @ x @ columns^T (W x w), whichever first leaves less to do; at least in float32."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    (H, W), (h, w) = x.shape[-2:], size
    rows, columns = _cached(matrix_of, H, h, dtype, x.device), _cached(matrix_of, W, w, dtype, x.device)
    with full_precision(x):
        full = x.to(dtype)
        out = (rows @ full) @ columns.T if h * W * (H + w) <= H * w * (W + h) else rows @ (full @ columns.T)
    return out.to(x.dtype)


@tensor_cache
def _cached(
    matrix_of: Callable, inputs: int, outputs: int | tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    return matrix_of(inputs, outputs).to(device, dtype)


def needed(x: Tensor) -> bool:
    """Whether gradients must have a fixed order that PyTorch's kernels for this tensor do not have."""
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()
