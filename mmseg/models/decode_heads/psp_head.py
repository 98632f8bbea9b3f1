"""Pyramid pooling. Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017 (arXiv 1612.01105)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..layers import AdaptiveAvgPool2d
from ..utils import resize
from .decode_head import BaseDecodeHead


class PPM(nn.ModuleList):
    """Poolings of a map to a few cells, each seen at the map's size: list of B x channels x H x W.

    Args:
        pool_scales: cells a side of each.
        in_channels, channels: of the map, and of what is returned.
        conv_cfg, norm_cfg, act_cfg: of the 1x1 convolutions.
        align_corners: of the resize.
    """

    def __init__(
        self,
        pool_scales: Sequence[int],
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
        align_corners: bool,
    ) -> None:
        layers = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(
            nn.Sequential(AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels, 1, **layers))
            for scale in pool_scales
        )
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> list[Tensor]:
        return [resize(pool(x), size=x.shape[-2:], align_corners=self.align_corners) for pool in self]


@MODELS.register_module()
class PSPHead(BaseDecodeHead):
    """The map and its poolings, fused by a 3x3 convolution.

    Args:
        pool_scales: cells a side of each pooling.
        base: as for :class:`BaseDecodeHead`.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **base) -> None:
        require(
            isinstance(pool_scales, (list, tuple)),
            f'{type(self).__name__}: pool_scales={pool_scales} must be a list or tuple',
        )
        super().__init__(**base)
        self.pool_scales = pool_scales
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.psp_modules = PPM(pool_scales, self.in_channels, self.channels, **layers, align_corners=self.align_corners)
        fused = self.in_channels + len(pool_scales) * self.channels
        self.bottleneck = ConvModule(fused, self.channels, 3, padding=1, **layers)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        return self.cls_seg(self.bottleneck(torch.cat([x, *self.psp_modules(x)], dim=1)))
