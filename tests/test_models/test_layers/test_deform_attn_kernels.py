"""The kernels against the CPU's path, on a GPU or in Triton's interpreter.

Which of them is chosen for a process; test_triton_kernels.py starts one with the interpreter.
"""

import importlib
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.models.layers import ms_deform_attn

pytest.importorskip('triton', reason='Triton is not installed: no kernels')

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
pytestmark = (
    []
    if INTERPRETED
    else [
        pytest.mark.cuda,
        pytest.mark.skipif(
            not torch.cuda.is_available(), reason='needs CUDA; test_triton_kernels.py has them interpreted'
        ),
    ]
)
SHAPES = [(2, 3), (5, 4), (1, 7)]


@pytest.fixture(scope='module', autouse=True)
def several_programs():
    """Of which the last one has a rest. On a GPU there would be fewer numbers than threads."""
    from mmseg.models.layers import deform_attn_kernels

    with pytest.MonkeyPatch.context() as patch:
        if INTERPRETED:
            patch.setattr(deform_attn_kernels, 'NUMBERS', 64)
        yield


def fused(value, points, weights, shapes):
    """What the kernels make of tensors on the CPU."""
    from mmseg.models.layers.deform_attn_kernels import FusedDeformAttn

    sides = torch.tensor([side for height, width in shapes for side in (width, height)])
    args = (x if INTERPRETED else x.cuda() for x in (value, points, weights, sides))
    return FusedDeformAttn.apply(*args).cpu()


def inputs(B, N, M, D, K, shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    S, L = sum(height * width for height, width in shapes), len(shapes)
    value = torch.randn(B, S, M, D, generator=generator).to(dtype)
    points = torch.rand(B, N, M, L, K, 2, generator=generator) * 1.6 - 0.3  # some outside
    return value, points, torch.randn(B, N, M, L, K, generator=generator)


def with_gradients(function, value, points, weights, shapes):
    """The result, and the gradients of value, weights and points."""
    args = [x.clone().requires_grad_() for x in (value, points, weights)]
    out = function(*args, shapes)
    gradient = torch.linspace(-1, 1, out.numel()).view(out.shape[::-1]).permute(3, 2, 1, 0)
    out.backward(gradient.to(out.dtype))
    value, points, weights = args
    return out.detach(), value.grad, weights.grad, points.grad


def by_embedding_bag(value, points, weights, shapes):
    return ms_deform_attn(value, shapes, points, weights)


def compare(*args, tolerance=1e-5, count=4):
    expected = with_gradients(by_embedding_bag, *args)[:count]
    for a, b in zip(with_gradients(fused, *args)[:count], expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.numel():
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * b.abs().max().item())


@pytest.mark.parametrize(
    'B, N, M, D, K, shapes',
    [
        (2, 9, 2, 8, 4, SHAPES),
        (1, 1, 1, 1, 1, [(1, 1)]),
        (2, 5, 3, 5, 2, [(1, 6), (6, 1)]),  # channels and heads that are no powers of 2, maps of one row and column
        (1, 3, 1, 80, 1, [(2, 2), (3, 1), (1, 1), (2, 5)]),  # more channels than a program has numbers
        (3, 0, 2, 4, 2, SHAPES),
        (0, 3, 2, 4, 2, SHAPES),
    ],
)
def test_it_is_the_path_of_the_cpu(B, N, M, D, K, shapes):
    compare(*inputs(B, N, M, D, K, shapes), shapes)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """Rounded once, at the end: few of the results, and of value's gradients, fall the other way."""
    compare(*inputs(2, 5, 2, 4, 2, SHAPES, dtype), SHAPES, tolerance=torch.finfo(dtype).eps)


def test_strides_do_not_matter():
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in inputs(2, 5, 2, 4, 2, SHAPES)]
    assert not any(x.is_contiguous() for x in turned)
    compare(*turned, SHAPES)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), height=st.integers(1, 4), width=st.integers(1, 4))
def test_at_edges_and_far_outside(data, height, width):
    """Where cells' centres and edges are, on either side of them, and where whole numbers end.

    Without the gradient of points: at a centre there are two, one for each side, and either is right.
    """
    halves = [i / 2 / side for side in (height, width) for i in range(-2, 2 * side + 3)]
    place = st.sampled_from([*halves, *(x + 1e-3 for x in halves), -1e30, 1e30, 2.0**31, -(2.0**31), 3e9, -1e5])
    points = torch.tensor(data.draw(st.lists(place, min_size=8, max_size=8))).view(1, 4, 1, 1, 1, 2)
    value, _, weights = inputs(1, 4, 1, 2, 1, [(height, width)])
    compare(value, points, weights, [(height, width)], count=3)


@pytest.mark.parametrize('odd', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.filterwarnings('ignore:invalid value encountered')
def test_what_is_not_finite_shows_and_stays_where_it_is(odd):
    value, points, weights = inputs(1, 6, 2, 4, 2, SHAPES)
    broken = points.clone()
    broken[0, 3, 1, 2, 0, 0] = odd
    expected = fused(value, points, weights, SHAPES)
    out, _, of_weights, of_points = with_gradients(fused, value, broken, weights, SHAPES)
    assert out[0, 3, 1].isnan().all() and of_points[0, 3, 1, 2, 0].isnan().any() and of_weights[0, 3, 1, 2, 0].isnan()
    others = torch.ones(out.shape[:3], dtype=torch.bool)
    others[0, 3, 1] = False
    assert torch.equal(out[others], expected[others])
    assert of_points[others].isfinite().all() and of_weights[others].isfinite().all()


def test_no_second_derivative():
    args = [x.requires_grad_() for x in inputs(1, 2, 1, 2, 1, [(2, 2)])]
    (first,) = torch.autograd.grad(fused(*args, [(2, 2)]).square().sum(), args[:1], create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        first.sum().backward()


def test_they_agree_with_pytorch_before_they_are_used():
    device = torch.device('cpu' if INTERPRETED else 'cuda')
    assert importlib.import_module('mmseg.models.layers.ms_deform_attn')._tried(device).__name__ == 'FusedDeformAttn'
