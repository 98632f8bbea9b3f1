"""Pyramid pooling on a feature pyramid. Source: Xiao et al., UPerNet, ECCV 2018 (arXiv 1807.10221)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils import resize
from .decode_head import BaseDecodeHead
from .psp_head import PPM


@MODELS.register_module()
class UPerHead(BaseDecodeHead):
    """A feature pyramid whose coarsest map saw the whole image, fused at the finest: scores at its size.

    Args:
        pool_scales: cells a side of each pooling of the coarsest map.
        base: as for :class:`BaseDecodeHead`; ``in_channels`` and ``in_index`` name the maps, finest first.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **base) -> None:
        super().__init__(input_transform='multiple_select', **base)
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        *fine, coarse = self.in_channels
        self.psp_modules = PPM(pool_scales, coarse, self.channels, **layers, align_corners=self.align_corners)
        fused = coarse + len(pool_scales) * self.channels
        self.bottleneck = ConvModule(fused, self.channels, 3, padding=1, **layers)
        self.lateral_convs = nn.ModuleList(ConvModule(c, self.channels, 1, **layers) for c in fine)
        self.fpn_convs = nn.ModuleList(ConvModule(self.channels, self.channels, 3, padding=1, **layers) for _ in fine)
        self.fpn_bottleneck = ConvModule(len(self.in_channels) * self.channels, self.channels, 3, padding=1, **layers)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        *fine, coarse = self._transform_inputs(inputs)
        x = self.bottleneck(torch.cat([coarse, *self.psp_modules(coarse)], dim=1))
        pyramid = [x]
        for finer, lateral, conv in reversed(list(zip(fine, self.lateral_convs, self.fpn_convs, strict=True))):
            x = lateral(finer) + resize(x, size=finer.shape[-2:], align_corners=self.align_corners)
            pyramid.insert(0, conv(x))
        return self.fpn_bottleneck(self.resize_concat(pyramid))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))
