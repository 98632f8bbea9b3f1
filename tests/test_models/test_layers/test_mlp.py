import copy
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.layers.mlp import MLP, ResidualDWConv
from mmseg.models.layers.strips import STRIP


def plain(mlp, x):
    hidden = F.gelu(F.conv2d(x, mlp.fc1.weight, mlp.fc1.bias))
    mixed = hidden + F.conv2d(hidden, mlp.conv.weight, mlp.conv.bias, padding=1, groups=len(hidden[0]))
    return F.conv2d(mixed, mlp.fc2.weight, mlp.fc2.bias)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('frozen', [(), ('fc1.weight', 'fc1.bias', 'fc2.bias'), ('conv.weight',)])
@pytest.mark.parametrize('rows', [8, 11, 100])
def test_training_in_strips_gives_the_gradients_of_the_equation(rows, frozen, layout):
    torch.manual_seed(0)
    mlp = MLP(8, 4)
    for name, parameter in mlp.named_parameters():
        parameter.requires_grad_(name not in frozen)
    x = torch.randn(2, 8, 29, 17).to(memory_format=layout).requires_grad_()
    operands = [x, *(p for p in mlp.parameters() if p.requires_grad)]
    expected = plain(mlp, x)
    of_out = torch.randn_like(expected)
    with patch.dict(STRIP, cpu=32 * 17 * rows):
        out = mlp(x)
        assert ('MLPInStrips' in type(out.grad_fn).__name__) == (rows < 29)
        found = torch.autograd.grad(out, operands, of_out)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    for gradient, wanted in zip(found, torch.autograd.grad(expected, operands, of_out), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_training_in_strips_keeps_no_wide_map():
    mlp, x, kept = MLP(8, 4), torch.randn(1, 8, 64, 32), []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t)
    with patch.dict(STRIP, cpu=32 * 32 * 8), hooks:
        mlp(x.requires_grad_())
    assert max(kept) == x.numel()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_residual_is_part_of_the_convolution(dtype):
    torch.manual_seed(0)
    conv, x = ResidualDWConv(6).to(dtype), torch.randn(2, 6, 9, 7, dtype=dtype)
    reference = copy.deepcopy(conv)
    expected = x + F.conv2d(x, reference.weight, reference.bias, padding=1, groups=6)
    out = conv(x.clone())
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, reference.weight.grad, rtol=1e-5, atol=1e-5)
    assert list(conv.state_dict()) == ['weight', 'bias'] and torch.equal(conv.weight, reference.weight)
