import pytest
import torch
import torch.nn.functional as F

from mmseg.models.layers import Linear
from mmseg.models.layers.linear import linear, linear_gelu, linear_relu, served_by_onednn

SHAPES = [(7, 5), (1, 3, 5), (2, 9, 4, 5), (1, 1, 5)]


def layer_and_input(shape=(2, 9, 4, 5), dtype=torch.float32):
    torch.manual_seed(0)
    return Linear(5, 6, dtype=dtype), torch.randn(shape, dtype=dtype, requires_grad=True)


def then_relu(*operands):
    return F.linear(*operands).relu()


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('ours', 'theirs'), [(linear, F.linear), (linear_relu, then_relu)], ids=['linear', 'relu'])
def test_outputs_and_gradients_are_those_of_torch(shape, ours, theirs):
    layer, x = layer_and_input(shape)
    operands = x, layer.weight, layer.bias
    out, expected = ours(*operands), theirs(*operands)
    of_out = torch.randn_like(out)
    torch.testing.assert_close(out, expected)
    for found, wanted in zip(*(torch.autograd.grad(y, operands, of_out) for y in (out, expected)), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize('grad', [False, True])
def test_gelu_is_exact_with_and_without_gradients(grad):
    layer, x = layer_and_input()
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(
            linear_gelu(x, layer.weight, layer.bias), F.gelu(F.linear(x, layer.weight, layer.bias))
        )


def test_relu_in_place_changes_no_gradient():
    layer, x = layer_and_input()
    (expected,) = torch.autograd.grad(then_relu(x, layer.weight, layer.bias).sum(), x)
    (found,) = torch.autograd.grad(layer(x).relu_().sum(), x)
    torch.testing.assert_close(found, expected)
    half = layer.bfloat16()  # what is not served by oneDNN
    torch.testing.assert_close(linear_relu(x.bfloat16(), half.weight, half.bias), half(x.bfloat16()).relu())


def test_frozen_and_missing_operands():
    layer, x = layer_and_input()
    layer.weight.requires_grad_(False)
    linear(x, layer.weight).sum().backward()
    assert layer.weight.grad is None and torch.allclose(x.grad, layer.weight.sum(dim=0).expand_as(x))
    linear(x.detach(), layer.weight, layer.bias).sum().backward()
    assert torch.equal(layer.bias.grad, torch.full((6,), 72.0))


def test_what_goes_to_torch():
    layer, x = layer_and_input()
    assert served_by_onednn(x, layer.weight)
    half, in_half = layer_and_input(dtype=torch.bfloat16)
    assert half(in_half).dtype is torch.bfloat16 and not served_by_onednn(in_half, half.weight)
    assert layer(x[:0]).shape == (0, 9, 4, 6)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(x).dtype is torch.bfloat16
    assert layer.to('meta')(x.to('meta')).is_meta
    exported = torch.export.export(Linear(5, 6), (torch.randn(3, 5),))
    assert not any('mkldnn' in str(node.target) for node in exported.graph.nodes)


def test_strided_inputs():
    layer, x = layer_and_input()
    x = x.detach().transpose(0, 2)[:, ::2]
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
