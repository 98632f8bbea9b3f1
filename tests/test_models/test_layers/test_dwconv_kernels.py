"""The kernels against PyTorch's convolution, on a GPU or in Triton's interpreter.

Which of them is chosen for a process; test_triton_kernels.py starts one with the interpreter.
"""

import importlib
import os

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

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


def inputs(B, C, H, W, dtype=torch.float32, of_weights=torch.float32):
    """x, weight, bias and the gradient of the result."""
    generator = torch.Generator().manual_seed(0)
    sizes, dtypes = [(B, C, H, W), (C, 1, 3, 3), (C,), (B, C, H, W)], [dtype, of_weights, of_weights, dtype]
    return [torch.randn(s, generator=generator).to(d) for s, d in zip(sizes, dtypes, strict=True)]


def plain(x, weight, bias, gelu=False):
    x = F.gelu(x) if gelu else x
    return x + F.conv2d(x, weight, bias, padding=1, groups=x.shape[1])


def fused(x, weight, bias, gelu=False):
    """What the kernels make of tensors on the CPU."""
    from mmseg.models.layers.dwconv_kernels import FusedDWConv

    return FusedDWConv.apply(*(t if INTERPRETED else t.cuda() for t in (x, weight, bias)), gelu).cpu()


def with_gradients(function, *args, **options):
    """The result, and the gradients of x, weight and bias."""
    *args, gradient = args
    args = [a.detach().clone().requires_grad_() for a in args]
    out = function(*args, **options)
    return [out.detach(), *torch.autograd.grad(out, args, gradient)]


def compare(*args, **options):
    """Rounded once, at the end. Sums for the weights are large ones of small numbers."""
    found = with_gradients(fused, *args, **options)
    expected = with_gradients(plain, *(a.double() for a in args), **options)
    for a, b, of in zip(found, expected, (args[0], *args[:3]), strict=True):
        assert a.dtype is of.dtype and a.shape == b.shape
        tolerance = max(torch.finfo(a.dtype).eps, 2e-6)
        if a.numel():
            torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=2e-6 * b.abs().max().item())


@pytest.mark.parametrize(
    'B, C, H, W',
    [
        (2, 20, 9, 7),  # channels that are no power of 2
        (1, 1, 1, 1),
        (1, 48, 1, 6),
        (3, 5, 6, 1),
        (2, 320, 5, 3),
        (1, 32, 8, 33),  # all programs full, but the last one
        (0, 4, 3, 3),
    ],
)
def test_it_is_the_convolution(B, C, H, W):
    compare(*inputs(B, C, H, W))


@settings(max_examples=15, deadline=None)
@given(B=st.integers(1, 3), C=st.integers(1, 40), H=st.integers(1, 11), W=st.integers(1, 11))
def test_any_size(B, C, H, W):
    compare(*inputs(B, C, H, W), gelu=H % 2 == 0)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])  # to bfloat16 the interpreter rounds in its own way
def test_gelu_in_front(dtype):
    """Its result is rounded to x's type, and the gradients of the weights are those of that."""
    x, weight, bias, gradient = inputs(2, 20, 9, 7, dtype)
    x = x * 3
    found = with_gradients(fused, x, weight, bias, gradient, gelu=True)
    act, y = F.gelu(x), x.double().requires_grad_()
    out, of_act, *of_weights = with_gradients(plain, *(a.double() for a in (act, weight, bias, gradient)))
    expected = out, *torch.autograd.grad(F.gelu(y), y, of_act), *of_weights
    for a, b in zip(found, expected, strict=True):
        assert (a.double() - b).norm() <= max(torch.finfo(a.dtype).eps, 2e-6) * b.norm()
    for a, b in zip(found[2:], expected[2:], strict=True):
        assert (a.double() - b).norm() <= max(torch.finfo(dtype).eps / 30, 2e-6) * b.norm()


@pytest.mark.parametrize('of_weights', [torch.float32, None])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype, of_weights):
    compare(*inputs(2, 20, 6, 5, dtype, of_weights or dtype))


def test_programs_that_have_several_tiles(monkeypatch):
    from mmseg.models.layers import dwconv_kernels

    monkeypatch.setattr(dwconv_kernels, 'PROGRAMS', 4)
    compare(*inputs(2, 40, 13, 11))


@pytest.mark.parametrize('of', ['x', 'gradient'])
def test_strides_do_not_matter(of):
    x, weight, bias, gradient = inputs(2, 20, 6, 5)
    args = dict(x=x, gradient=gradient)
    for turned in (
        args[of].contiguous(memory_format=torch.channels_last),
        args[of].transpose(2, 3).contiguous().transpose(2, 3),
        args[of][:1, :1].expand(2, 20, 6, 5),
    ):
        args[of] = turned
        compare(args['x'], weight, bias, args['gradient'])
    assert fused(x, weight, bias).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('odd', [float('nan'), float('inf')])
@pytest.mark.filterwarnings('ignore:invalid value encountered')
def test_what_is_not_finite_shows_and_stays_where_it_is(odd):
    x, weight, bias, gradient = inputs(2, 20, 9, 7)
    expected = with_gradients(fused, x, weight, bias, gradient)
    x[1, 3, 4, 2] = gradient[1, 3, 4, 2] = odd
    found = with_gradients(fused, x, weight, bias, gradient)
    near = torch.zeros(x.shape, dtype=torch.bool)
    near[1, 3, 3:6, 1:4] = True
    channel = torch.arange(20) == 3
    for a, b, reached in zip(found, expected, (near, near, channel, channel), strict=True):
        assert not a[reached].isfinite().any()
        assert torch.equal(a[~reached], b[~reached])


def test_no_second_derivative():
    args = [x.requires_grad_() for x in inputs(1, 2, 3, 3)[:3]]
    (first,) = torch.autograd.grad(fused(*args).square().sum(), args[:1], create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        first.sum().backward()


def test_an_mlp_has_the_same_gradients_with_them(monkeypatch):
    """And keeps what comes before GELU alone: nothing is checkpointed."""
    from mmseg.models.layers import mlp as module
    from mmseg.models.layers.dwconv_kernels import FusedDWConv

    torch.manual_seed(0)
    mlp, x = module.MLP(4, 5), torch.randn(2, 4, 9, 7, requires_grad=True)
    out = mlp(x)
    expected = [out, *torch.autograd.grad(out.square().sum(), [x, *mlp.parameters()])]
    monkeypatch.setattr(module, 'checkpoint', None)
    if INTERPRETED:
        monkeypatch.setattr(module, 'plain_on_gpu', lambda x: True)
        monkeypatch.setattr(module, '_kernels_on', lambda device: FusedDWConv)
    else:
        mlp, x = mlp.cuda(), x.detach().cuda().requires_grad_()
    out = mlp(x)
    found = [out, *torch.autograd.grad(out.square().sum(), [x, *mlp.parameters()])]
    tolerance = 1e-5 if INTERPRETED else 1e-2  # TensorFloat-32
    for a, b in zip(found, expected, strict=True):
        assert (a.cpu() - b).norm() <= tolerance * b.norm()


def test_they_agree_with_pytorch_before_they_are_used():
    device = torch.device('cpu' if INTERPRETED else 'cuda')
    assert importlib.import_module('mmseg.models.layers.mlp')._tried(device).__name__ == 'FusedDWConv'
