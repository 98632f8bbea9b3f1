"""Object-contextual representations. Source: Yuan et al., ECCV 2020 (arXiv 1909.11065). Maps are B x C x H x W."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from .cascade_decode_head import BaseCascadeDecodeHead


class ObjectContextBlock(nn.Module):
    """Every pixel attends to the K classes' regions: B x C x H x W and B x C x K -> B x C x H x W.

    Args:
        channels, key_channels: widths of maps, and of keys and values.
        layers: ``conv_cfg``, ``norm_cfg`` and ``act_cfg`` of the 1x1 convolutions.
    """

    def __init__(self, channels: int, key_channels: int, layers: dict) -> None:
        super().__init__()

        def project() -> nn.Sequential:
            return nn.Sequential(
                ConvModule(channels, key_channels, 1, **layers), ConvModule(key_channels, key_channels, 1, **layers)
            )

        self.query_project, self.key_project = project(), project()
        self.value_project = ConvModule(channels, key_channels, 1, **layers)
        self.out_project = ConvModule(key_channels, channels, 1, **layers)
        self.bottleneck = ConvModule(2 * channels, channels, 1, **layers)

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        regions = regions[..., None]  # a map of K x 1
        query, key, value = self.query_project(x), self.key_project(regions), self.value_project(regions)
        tokens = [part.flatten(2).mT for part in (query, key, value)]  # B x N x C
        context = F.scaled_dot_product_attention(*tokens).mT.reshape(query.shape)
        return self.bottleneck(torch.cat([self.out_project(context), x], dim=1))


@MODELS.register_module()
class OCRHead(BaseCascadeDecodeHead):
    """Regions of the classes, as the head before sees them, describe each pixel's surroundings.

    Args:
        ocr_channels: width of keys and values.
        scale: sharpness of the regions.
        base: as for :class:`BaseDecodeHead`.
    """

    def __init__(self, ocr_channels: int, scale: float = 1, **base) -> None:
        super().__init__(**base)
        self.ocr_channels, self.scale = ocr_channels, scale
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.object_context_block = ObjectContextBlock(self.channels, ocr_channels, layers)
        self.bottleneck = ConvModule(self.in_channels, self.channels, 3, padding=1, **layers)

    def forward(self, inputs: Sequence[Tensor], prev_output: Tensor) -> Tensor:
        x = self.bottleneck(self._transform_inputs(inputs))
        share = (self.scale * prev_output.flatten(2)).softmax(dim=2)  # of each pixel in each class, B x K x N
        regions = x.flatten(2) @ share.mT  # B x C x K
        return self.cls_seg(self.object_context_block(x, regions))
