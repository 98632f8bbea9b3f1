"""Between maps B x C x H x W and tokens B x HW x C."""

from collections.abc import Callable, Sequence

from torch import Tensor

from mmseg.utils.errors import require


def nlc_to_nchw(x: Tensor, hw_shape: Sequence[int]) -> Tensor:
    """B x HW x C -> B x C x H x W."""
    require(x.dim() == 3, f'nlc_to_nchw takes B x N x C tokens, not a tensor of shape {tuple(x.shape)}')
    H, W = hw_shape
    require(x.shape[1] == H * W, f'nlc_to_nchw: {x.shape[1]} tokens are no map of {H} x {W}')
    return x.transpose(1, 2).unflatten(2, (H, W)).contiguous()


def nchw_to_nlc(x: Tensor) -> Tensor:
    """B x C x H x W -> B x HW x C."""
    require(x.dim() == 4, f'nchw_to_nlc takes B x C x H x W maps, not a tensor of shape {tuple(x.shape)}')
    return x.flatten(2).transpose(1, 2).contiguous()


def nchw2nlc2nchw(module: Callable, x: Tensor, contiguous: bool = False, **kwargs) -> Tensor:
    """Calls ``module``, which takes and returns tokens, on a map.

    Args:
        module: called with the tokens and ``kwargs``.
        x: B x C x H x W.
        contiguous: also hand the tokens, and return the map, contiguous in memory.
    """
    H, W = x.shape[-2:]
    tokens = x.flatten(2).transpose(1, 2)
    out = module(tokens.contiguous() if contiguous else tokens, **kwargs).transpose(1, 2).unflatten(2, (H, W))
    return out.contiguous() if contiguous else out


def nlc2nchw2nlc(module: Callable, x: Tensor, hw_shape: Sequence[int], contiguous: bool = False, **kwargs) -> Tensor:
    """Calls ``module``, which takes and returns maps, on B x HW x C tokens; otherwise as :func:`nchw2nlc2nchw`."""
    require(x.dim() == 3, f'nlc2nchw2nlc takes B x N x C tokens, not a tensor of shape {tuple(x.shape)}')
    maps = x.transpose(1, 2).unflatten(2, tuple(hw_shape))
    out = module(maps.contiguous() if contiguous else maps, **kwargs).flatten(2).transpose(1, 2)
    return out.contiguous() if contiguous else out
