"""SegFormer's all-MLP head. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203). Maps are B x C x H x W."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils import resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class SegformerHead(BaseDecodeHead):
    """All maps at one width and at the finest one's size, fused pixel by pixel.

    Args:
        interpolate_mode: of the resize.
        base: as for :class:`BaseDecodeHead`; ``in_channels`` and ``in_index`` name the maps, finest first.
    """

    def __init__(self, interpolate_mode: str = 'bilinear', **base) -> None:
        super().__init__(input_transform='multiple_select', **base)
        self.interpolate_mode = interpolate_mode
        layers = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.convs = nn.ModuleList(ConvModule(c, self.channels, 1, **layers) for c in self.in_channels)
        self.fusion_conv = ConvModule(len(self.convs) * self.channels, self.channels, 1, norm_cfg=self.norm_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        maps = self._transform_inputs(inputs)
        same = dict(size=maps[0].shape[-2:], mode=self.interpolate_mode, align_corners=self.align_corners)
        maps = [resize(conv(x), **same) for conv, x in zip(self.convs, maps, strict=True)]
        return self.cls_seg(self.fusion_conv(torch.cat(maps, dim=1)))
