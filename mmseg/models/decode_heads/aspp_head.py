"""Atrous spatial pyramid pooling. Maps are B x C x H x W.

Sources: Chen et al., DeepLabV3 (arXiv 1706.05587) and DeepLabV3+, ECCV 2018 (arXiv 1802.02611).
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..layers import AdaptiveAvgPool2d
from ..utils import resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class ASPPHead(BaseDecodeHead):
    """Convolutions of several dilations and the map's mean, fused by a 3x3 convolution.

    Args:
        dilations: of each; 1 stands for a 1x1 convolution.
        base: as for :class:`BaseDecodeHead`.
    """

    def __init__(self, dilations: Sequence[int] = (1, 6, 12, 18), **base) -> None:
        require(
            isinstance(dilations, (list, tuple)),
            f'{type(self).__name__}: dilations={dilations} must be a list or tuple',
        )
        super().__init__(**base)
        self.dilations = dilations
        self.layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        pointwise = dict(in_channels=self.in_channels, out_channels=self.channels, kernel_size=1, **self.layers)
        self.image_pool = nn.Sequential(AdaptiveAvgPool2d(1), ConvModule(**pointwise))
        self.aspp_modules = nn.ModuleList(
            ConvModule(**pointwise) if dilation == 1 else self.make_atrous(dilation) for dilation in dilations
        )
        self.bottleneck = ConvModule((len(dilations) + 1) * self.channels, self.channels, 3, padding=1, **self.layers)

    def make_atrous(self, dilation: int) -> nn.Module:
        return ConvModule(self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **self.layers)

    def _forward_feature(self, x: Tensor) -> Tensor:
        mean = resize(self.image_pool(x), size=x.shape[-2:], align_corners=self.align_corners)
        return self.bottleneck(torch.cat([mean, *(module(x) for module in self.aspp_modules)], dim=1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(self._transform_inputs(inputs)))


@MODELS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """DeepLabV3+: ASPP with separable convolutions, refined on the backbone's finest map.

    Args:
        c1_in_channels: channels of the finest map, the first of the inputs; 0 to do without.
        c1_channels: what it is squeezed to.
        aspp: as for :class:`ASPPHead`.
    """

    def __init__(self, c1_in_channels: int, c1_channels: int, **aspp) -> None:
        super().__init__(**aspp)
        require(c1_in_channels >= 0, f'DepthwiseSeparableASPPHead: c1_in_channels={c1_in_channels} must be at least 0')
        self.c1_bottleneck = ConvModule(c1_in_channels, c1_channels, 1, **self.layers) if c1_in_channels else None
        separable = dict(kernel_size=3, padding=1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.sep_bottleneck = nn.Sequential(
            DepthwiseSeparableConvModule(self.channels + c1_channels, self.channels, **separable),
            DepthwiseSeparableConvModule(self.channels, self.channels, **separable),
        )

    def make_atrous(self, dilation: int) -> nn.Module:
        layers = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        return DepthwiseSeparableConvModule(
            self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **layers
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._forward_feature(self._transform_inputs(inputs))
        if self.c1_bottleneck is not None:
            fine = self.c1_bottleneck(inputs[0])
            x = torch.cat([resize(x, size=fine.shape[-2:], align_corners=self.align_corners), fine], dim=1)
        return self.cls_seg(self.sep_bottleneck(x))
