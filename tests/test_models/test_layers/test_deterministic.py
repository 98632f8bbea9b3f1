from unittest.mock import patch

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.models.layers import adaptive_avg_pool2d, deterministic, interpolate_bilinear
from mmseg.models.layers.deterministic import pool_by_matmul, pools_by_matmul, resize_by_matmul

side = st.integers(1, 40)


def compare(ours, reference, x):
    """Forward and backward, the latter for a gradient that differs from place to place."""
    results = []
    for function in (ours, reference):
        leaf = x.clone().requires_grad_()
        out = function(leaf)
        (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
        results.append((out.detach(), leaf.grad))
    for mine, theirs in zip(*results, strict=True):
        assert mine.shape == theirs.shape
        torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-5)


@settings(max_examples=80, deadline=None)
@given(side, side, side, side)
def test_pooling_is_pytorch_s(H, W, h, w):
    compare(lambda x: pool_by_matmul(x, (h, w)), lambda x: F.adaptive_avg_pool2d(x, (h, w)), torch.randn(2, 3, H, W))


@settings(max_examples=80, deadline=None)
@given(side, side, st.lists(st.tuples(side, side), min_size=1, max_size=3), st.booleans())
def test_pooling_to_several_sizes_is_pytorch_s(H, W, sizes, channels_last):
    x = torch.randn(2, 3, H, W)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    for grid, size in zip(pools_by_matmul(x, sizes), sizes, strict=True):
        assert grid.shape[1] == 1 or grid.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(grid, F.adaptive_avg_pool2d(x, size), atol=2e-5, rtol=1e-5)
    compare(
        lambda x: torch.cat([grid.flatten() for grid in pools_by_matmul(x, sizes)]),
        lambda x: torch.cat([F.adaptive_avg_pool2d(x, size).flatten() for size in sizes]),
        x,
    )


@settings(max_examples=80, deadline=None)
@given(side, side, side, side, st.booleans())
def test_resizing_is_pytorch_s(H, W, h, w, align_corners):
    compare(
        lambda x: resize_by_matmul(x, (h, w), align_corners),
        lambda x: F.interpolate(x, (h, w), mode='bilinear', align_corners=align_corners),
        torch.randn(2, 3, H, W),
    )


def test_at_the_model_s_sizes():
    x = torch.randn(1, 4, 128, 167)
    compare(lambda x: pool_by_matmul(x, (16, 21)), lambda x: F.adaptive_avg_pool2d(x, (16, 21)), x)
    small = torch.randn(1, 4, 16, 21)
    compare(lambda x: resize_by_matmul(x, (128, 167)), lambda x: F.interpolate(x, (128, 167), mode='bilinear'), small)


def test_gradients_are_exact():
    x = torch.randn(1, 2, 7, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pool_by_matmul(x, (3, 4)), x)
    assert torch.autograd.gradcheck(lambda x: resize_by_matmul(x, (9, 3), True), x)


def test_half_precision_is_left_for_the_sums_only():
    x = torch.randn(1, 2, 9, 9)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(pool_by_matmul(x, (4, 4)), F.adaptive_avg_pool2d(x, (4, 4)))
        half = pool_by_matmul(x.bfloat16(), (4, 4))
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half, F.adaptive_avg_pool2d(x.bfloat16().float(), (4, 4)).bfloat16())


def test_half_precision_of_several_sizes():
    """Sums of an axis are rounded once more than PyTorch's."""
    x, sizes = 100 * torch.randn(2, 3, 96, 130).bfloat16() + 50, [(16, 21), (11, 15), (4, 5)]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        grids = pools_by_matmul(x, sizes)
    for grid, size in zip(grids, sizes, strict=True):
        expected = F.adaptive_avg_pool2d(x.double(), size)
        assert grid.dtype is torch.bfloat16
        assert (grid - expected).norm() <= 2**-8 * expected.norm()


def test_what_inference_made_trains():
    with torch.inference_mode():
        pool_by_matmul(torch.randn(1, 1, 13, 13), (5, 5))
    pool_by_matmul(torch.randn(1, 1, 13, 13, requires_grad=True), (5, 5)).sum().backward()


def test_pytorch_s_own_kernels_are_used_where_they_are_deterministic():
    x = torch.randn(1, 2, 9, 7)
    assert torch.equal(adaptive_avg_pool2d(x, (4, 4)), F.adaptive_avg_pool2d(x, (4, 4)))
    assert torch.equal(interpolate_bilinear(x, (4, 4)), F.interpolate(x, (4, 4), mode='bilinear'))
    with patch.object(deterministic, 'needed', return_value=True), patch.object(F, 'interpolate', side_effect=OSError):
        interpolate_bilinear(x, (4, 4))
