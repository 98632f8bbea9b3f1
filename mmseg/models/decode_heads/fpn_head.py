"""Semantic FPN. Source: Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019 (arXiv 1901.02446)."""

from collections.abc import Sequence
from math import log2

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import Upsample, resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class FPNHead(BaseDecodeHead):
    """Each map of a pyramid is brought to the finest one's size by convolutions and doublings; their sum is classified.

    Args:
        feature_strides: of the maps, finest first.
        base: as for :class:`BaseDecodeHead`.
    """

    def __init__(self, feature_strides: Sequence[int], **base) -> None:
        super().__init__(input_transform='multiple_select', **base)
        require(
            len(feature_strides) == len(self.in_channels) and min(feature_strides) == feature_strides[0],
            f'FPNHead: feature_strides={feature_strides} must be one a map, the finest first',
        )
        self.feature_strides = feature_strides
        self.scale_heads = nn.ModuleList()
        for channels, stride in zip(self.in_channels, feature_strides, strict=True):
            doublings, layers = int(log2(stride) - log2(feature_strides[0])), []
            for i in range(max(1, doublings)):
                layers.append(
                    ConvModule(
                        *(self.channels if i else channels, self.channels, 3),
                        padding=1,
                        **dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg),
                    )
                )
                if doublings:
                    layers.append(Upsample(scale_factor=2, align_corners=self.align_corners))
            self.scale_heads.append(nn.Sequential(*layers))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        first, *others = [head(x) for head, x in zip(self.scale_heads, self._transform_inputs(inputs), strict=True)]
        for x in others:
            first = first + resize(x, size=first.shape[-2:], align_corners=self.align_corners)
        return self.cls_seg(first)
