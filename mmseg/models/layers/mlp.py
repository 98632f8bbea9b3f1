"""The MLP of LRFormer's blocks and what it is made of. Maps are B x C x H x W throughout."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from .exporting import exporting
from .linear import linear, linear_gelu, product, served_by_onednn
from .strips import in_strips, strips, strips_and_halos
from .triton_kernels import Kernels, compare, kernels_on, plain_on_gpu


def residual(x: Tensor, branch: Tensor) -> Tensor:
    """x + branch, in the memory of the branch where mixed precision does not need another type."""
    return branch.add_(x) if branch.dtype is x.dtype else x + branch


class ResidualDWConv(nn.Conv2d):
    """x + DWConv3x3(x), B x C x H x W -> B x C x H x W."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor, gelu: bool = False) -> Tensor:
        if kernels := self.kernels_for(x):
            return kernels.apply(x, self.weight, self.bias, gelu)
        x = F.gelu(x) if gelu else x
        if exporting() or served_by_onednn(x, self.weight):  # one convolution, whose central weights are greater by 1
            return self._conv_forward(x, self.weight + _CENTRE, self.bias)
        return residual(x, super().forward(x))

    def kernels_for(self, x: Tensor) -> Kernels | None:
        """Those of :mod:`.dwconv_kernels`, for a plain tensor on a GPU; they keep x alone for the backward pass."""
        return _kernels_on(x.device) if plain_on_gpu(x) and not exporting() and self.fits_kernels(x) else None

    def fits_kernels(self, x: Tensor) -> bool:
        """Whether they take x, and their result has the type that PyTorch's has; of what does not, PyTorch says why."""
        kind = x.device.type
        mixed = torch.is_autocast_enabled(kind) and x.dtype is torch.get_autocast_dtype(kind)
        return (
            (x.dim() == 4 and x.shape[1] == self.in_channels)
            and x.dtype in (torch.float32, torch.bfloat16, torch.float16)
            and (mixed or x.dtype is self.weight.dtype)
        )


@lru_cache
def _kernels_on(device: torch.device) -> Kernels | None:
    return kernels_on(device, _tried, 'the depthwise convolution goes through cuDNN')


def _tried(device: torch.device) -> Kernels:
    from .dwconv_kernels import FusedDWConv

    def fused(*args: Tensor) -> Tensor:
        return FusedDWConv.apply(*args, True)

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = F.gelu(x)
        return x + F.conv2d(x, weight, bias, padding=1, groups=len(weight))

    compare(device, fused, plain, (2, 48, 9, 7), (48, 1, 3, 3), (48,))
    return FusedDWConv


_CENTRE = torch.zeros(3, 3)
_CENTRE[1, 1] = 1


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution, B x C x H x W -> B x C' x H x W, as one matrix product over the places of a channels-last map.

    PyTorch's own is slow on a CPU with one thread, where it unfolds the map first.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor, gelu: bool = False) -> Tensor:
        if exporting():  # runtimes have a layout for convolutions
            return F.gelu(super().forward(x)) if gelu else super().forward(x)
        product = linear_gelu if gelu else linear
        return product(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class MLP(nn.Module):
    """Pointwise MLP with a residual depthwise convolution inside, B x C x H x W -> B x C x H x W."""

    compilable = True

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(dim, ratio * dim)
        self.conv = ResidualDWConv(ratio * dim)
        self.fc2 = PointwiseConv(ratio * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.fc2(self.conv(self.fc1(x, gelu=True)))
        if served_by_onednn(x, self.fc1.weight) and len(strips(x.shape[2], self.numbers_a_row(x), x.device)) > 1:
            return _MLPInStrips.apply(self, x, *self.parameters())
        hidden = self.fc1(x)
        if self.conv.kernels_for(hidden):
            return self.fc2(self.act_and_conv(hidden))
        # One wide map less to keep: what follows from it is cheap to repeat.
        return self.fc2(checkpoint(self.act_and_conv, hidden, use_reentrant=False, preserve_rng_state=False))

    def act_and_conv(self, hidden: Tensor) -> Tensor:
        return self.conv(hidden, gelu=True)

    def numbers_a_row(self, x: Tensor) -> int:
        """Of the wide maps of one image."""
        return self.fc1.out_channels * x.shape[3]


class _MLPInStrips(torch.autograd.Function):
    """An :class:`MLP` whose wide maps are computed again in the backward pass, a strip of one image at a time."""

    @staticmethod
    def forward(ctx, mlp: MLP, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.mlp = mlp
        ctx.save_for_backward(x, *parameters)
        return in_strips(mlp, x, halo=1, width=mlp.fc1.out_channels)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mlp, x = ctx.mlp, ctx.saved_tensors[0]
        of_x, of_fc2 = torch.zeros_like(x), [torch.zeros_like(p) for p in mlp.fc2.parameters()]
        inner = [p for p in (*mlp.fc1.parameters(), *mlp.conv.parameters()) if p.requires_grad]
        of_inner = [torch.zeros_like(p) for p in inner]
        weight = mlp.fc2.weight.flatten(1)
        for b in range(len(x)):
            for rows, reads in strips_and_halos(x.shape[2], mlp.numbers_a_row(x), 1, x.device):
                part = x[b : b + 1, :, reads].detach().requires_grad_()
                with torch.enable_grad():
                    wide = mlp.act_and_conv(mlp.fc1(part))[:, :, rows.start - reads.start : rows.stop - reads.start]
                of_out = gradient[b : b + 1, :, rows].permute(0, 2, 3, 1)
                places = of_out.flatten(0, 2)  # RW x C
                of_fc2[0].flatten(1).addmm_(places.T, wide.detach().permute(0, 2, 3, 1).flatten(0, 2))
                of_fc2[1] += places.sum(dim=0)
                of_wide = product(of_out, weight.T).permute(0, 3, 1, 2)
                of_part, *of_parameters = torch.autograd.grad(wide, [part, *inner], of_wide)
                of_x[b : b + 1, :, reads] += of_part
                torch._foreach_add_(of_inner, of_parameters)
        found = dict(zip(map(id, [*inner, *mlp.fc2.parameters()]), [*of_inner, *of_fc2], strict=True))
        return None, of_x, *(found.get(id(p)) for p in mlp.parameters())
