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


def adaptive_avg_pool2d(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """:func:`torch.nn.functional.adaptive_avg_pool2d`, by :func:`pool_by_matmul` where that alone is deterministic.

    Args:
        x: B x C x H x W.
        output_size: (h, w), each at least 1.

    Returns:
        B x C x h x w.
    """
    return pool_by_matmul(x, output_size) if needed(x) else F.adaptive_avg_pool2d(x, tuple(output_size))


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
def _cached(matrix_of: Callable, inputs: int, outputs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return matrix_of(inputs, outputs).to(device, dtype)


def needed(x: Tensor) -> bool:
    """Whether gradients must have a fixed order that PyTorch's kernels for this tensor do not have."""
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()
