"""Linear layers. On a CPU oneDNN multiplies them, also in training.

PyTorch gives float32 products to MKL. On the CPUs that we measured oneDNN, which PyTorch brings for convolutions, is
faster by a fifth, by a half where one side is narrow, and applies GELU to results that are still in the cache.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .exporting import exporting


class Linear(nn.Linear):
    """``nn.Linear``, ... x in_features -> ... x out_features, by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """:func:`torch.nn.functional.linear`."""
    if not served_by_onednn(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled():
        return _Linear.apply(x.flatten(0, -2), weight, bias, 'none').unflatten(0, x.shape[:-1])
    return product(x, weight, bias)


def linear_relu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """ReLU of :func:`linear`."""
    if not served_by_onednn(x, weight):
        return F.linear(x, weight, bias).relu_()
    if torch.is_grad_enabled():
        return _Linear.apply(x.flatten(0, -2), weight, bias, 'relu').unflatten(0, x.shape[:-1])
    return product(x, weight, bias, 'relu')


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """GELU (exact, by the error function) of :func:`linear`."""
    if torch.is_grad_enabled() or not served_by_onednn(x, weight):
        return F.gelu(linear(x, weight, bias))
    return product(x, weight, bias, 'gelu')


def served_by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether this is plain float32 on a CPU: no other type, no autocast, nothing that is compiled or exported."""
    return (
        x.device.type == weight.device.type == 'cpu'
        and x.dtype is weight.dtype is torch.float32
        and type(x) in _PLAIN
        and type(weight) in _PLAIN  # not a quantised or a fake one
        and x.numel() > 0
        and _AVAILABLE
        and torch.backends.mkldnn.enabled
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not exporting()
    )


_PLAIN = (Tensor, nn.Parameter)
# Without MKL, as on Arm, PyTorch's own choice is another one.
_AVAILABLE = (
    torch.backends.mkldnn.is_available()
    and torch.backends.mkl.is_available()
    and hasattr(torch.ops.mkldnn, '_linear_pointwise')
)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = 'none') -> Tensor:
    """x @ weight^T + bias by oneDNN, without gradients."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], 'none')


class _Linear(torch.autograd.Function):
    """Rows x in_features -> rows x out_features, behind ``activation``: 'none' or 'relu'."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
        out = product(x, weight, bias, activation)
        ctx.save_for_backward(x, weight, out if activation == 'relu' else None)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (x, weight, out), (of_x, of_weight, of_bias, _) = ctx.saved_tensors, ctx.needs_input_grad
        if out is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, out, 0)
        return (
            product(gradient, weight.t()) if of_x else None,
            gradient.t() @ x if of_weight else None,  # MKL is no slower at sums over all rows
            gradient.sum(dim=0) if of_bias else None,
            None,
        )
