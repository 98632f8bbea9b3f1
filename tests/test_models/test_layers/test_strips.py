from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.models.backbones.lrformer import Block
from mmseg.models.layers import in_strips, strips
from mmseg.models.layers.mlp import MLP
from mmseg.models.layers.strips import SHORTEST, STRIP

CPU = torch.device('cpu')


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 10**7))
def test_strips_cover_all_rows_once(height, numbers):
    rows = [row for part in strips(height, numbers, CPU) for row in range(part.start, part.stop)]
    assert rows == list(range(height))


def test_their_size_follows_from_that_of_the_map():
    assert strips(100, STRIP['cpu'] // 100, CPU) == [slice(0, 100)]
    assert strips(100, STRIP['cpu'] // 50, CPU) == [slice(0, 50), slice(50, 100)]
    assert strips(20, STRIP['cpu'], CPU)[0] == slice(0, SHORTEST)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 2), st.integers(1, 4))
def test_what_looks_a_few_rows_far(H, W, B, halo):
    x = torch.randn(B, 3, H, W, dtype=torch.float64)
    conv = torch.nn.Conv2d(3, 3, 2 * halo + 1, padding=halo, dtype=torch.float64)
    with torch.no_grad(), patch.dict(STRIP, cpu=1):
        torch.testing.assert_close(in_strips(conv, x, halo, 3), conv(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('size', [(40, 33), (64, 64), (17, 50)])
@torch.no_grad()
def test_the_bits_of_whole_maps(size, layout):
    torch.manual_seed(0)
    mlp, x = MLP(16, 8), torch.randn(2, 16, *size).to(memory_format=layout)
    whole = mlp(x)
    calls = []
    mlp.fc2.register_forward_hook(lambda *_: calls.append(1))
    with patch.dict(STRIP, cpu=2 * 128 * size[1] * 11):
        parts = in_strips(mlp, x, 1, 128)
    assert len(calls) == -(-size[0] // 11) and torch.equal(parts, whole)


@torch.no_grad()
def test_a_block_uses_them_where_its_maps_are_large():
    block, x, pyramid = Block(16, 2).eval(), torch.randn(1, 16, 48, 48), torch.nn.ModuleList([torch.nn.Identity()] * 4)
    calls = []
    block.mlp.register_forward_hook(lambda *_: calls.append(1))
    whole = block(x, pyramid)
    assert len(calls) == 1
    with patch.dict(STRIP, cpu=64 * 48 * 8):
        torch.testing.assert_close(block(x, pyramid), whole, rtol=1e-6, atol=1e-6)
    assert len(calls) == 1 + 6


def test_training_keeps_norms_whole():
    """A BatchNorm's statistics are those of the whole map."""
    block = Block(16, 2, norm_layer=torch.nn.BatchNorm2d).train()
    x, pyramid = torch.randn(2, 16, 48, 48), torch.nn.ModuleList([torch.nn.Identity()] * 4)
    expected = block(x, pyramid).detach()
    with patch.dict(STRIP, cpu=64 * 48 * 8):
        torch.testing.assert_close(block(x, pyramid).detach(), expected)
        with torch.no_grad():
            torch.testing.assert_close(block(x, pyramid), expected)


def test_mixed_precision_keeps_the_residual_stream_in_float32():
    block, x, pyramid = Block(16, 2).eval(), torch.randn(1, 16, 20, 20), torch.nn.ModuleList([torch.nn.Identity()] * 4)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        assert block(x, pyramid).dtype is torch.float32
        with patch.dict(STRIP, cpu=1):
            assert block(x, pyramid).dtype is torch.float32
