"""Deformable convolutions, by torchvision's operator, under mmcv's names.

Sources: Dai et al., ICCV 2017 (arXiv 1703.06211); Zhu et al., CVPR 2019 (arXiv 1811.11168) for the modulated one.
"""

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d


class _DeformConv2d(nn.Conv2d):
    """A convolution whose samples lie off the grid by offsets that another convolution computes.

    Args:
        deform_groups: groups of channels with offsets of their own.
        others: as for :class:`torch.nn.Conv2d`.
    """

    PER_SAMPLE: int  # numbers that a sample needs

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        samples = deform_groups * self.kernel_size[0] * self.kernel_size[1]
        self.conv_offset = nn.Conv2d(
            in_channels, self.PER_SAMPLE * samples, kernel_size, stride, padding, dilation, bias=True
        )
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)

    def convolve(self, x: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
        geometry = dict(stride=self.stride, padding=self.padding, dilation=self.dilation)
        return deform_conv2d(x, offset, self.weight, self.bias, mask=mask, **geometry)


class DeformConv2d(_DeformConv2d):
    __doc__ = _DeformConv2d.__doc__
    PER_SAMPLE = 2

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.conv_offset(x), None)


class ModulatedDeformConv2d(_DeformConv2d):
    __doc__ = _DeformConv2d.__doc__
    PER_SAMPLE = 3

    def forward(self, x: Tensor) -> Tensor:
        *offset, mask = self.conv_offset(x).chunk(3, dim=1)
        return self.convolve(x, torch.cat(offset, dim=1), mask.sigmoid())


def build_deform_conv(cfg: dict, *args, **kwargs) -> nn.Module:
    """Of mmcv's config, ``dict(type='DCN' or 'DCNv2', deform_groups=1)``, and the arguments of a convolution."""
    kinds = dict(DCN=DeformConv2d, DCNv2=ModulatedDeformConv2d)
    cfg = dict(cfg)
    if (kind := cfg.pop('type', None)) not in kinds:
        raise KeyError(f'dcn of type {kind!r} is not here; {" and ".join(kinds)} are')
    return kinds[kind](*args, **kwargs, **cfg)
