"""Fully convolutional heads. Source: Long et al., CVPR 2015 (arXiv 1411.4038). Maps are B x C x H x W."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from .decode_head import BaseDecodeHead


@MODELS.register_module()
class FCNHead(BaseDecodeHead):
    """A few convolutions, and one more over their result beside the input.

    Args:
        num_convs: how many before the classifier.
        kernel_size: theirs.
        concat_input: whether that last convolution is there.
        dilation: of the ``num_convs``.
        base: as for :class:`BaseDecodeHead`.
    """

    def __init__(
        self, num_convs: int = 2, kernel_size: int = 3, concat_input: bool = True, dilation: int = 1, **base
    ) -> None:
        name = type(self).__name__
        require(num_convs >= 0, f'{name}: num_convs={num_convs} must be at least 0')
        require(dilation > 0 and isinstance(dilation, int), f'{name}: dilation={dilation} must be at least 1')
        super().__init__(**base)
        require(
            num_convs > 0 or self.in_channels == self.channels,
            f'{name}: with num_convs=0, channels={self.channels} must be in_channels={self.in_channels}',
        )
        self.num_convs, self.kernel_size, self.concat_input = num_convs, kernel_size, concat_input
        self.convs = nn.Sequential(
            *(
                self.make_conv(
                    self.channels if i else self.in_channels,
                    padding=(kernel_size // 2) * dilation,
                    dilation=dilation,
                )
                for i in range(num_convs)
            )
        )
        if num_convs == 0:
            self.convs = nn.Identity()
        if concat_input:
            self.conv_cat = self.make_conv(self.in_channels + self.channels, padding=kernel_size // 2)

    def make_conv(self, in_channels: int, padding: int, dilation: int = 1) -> nn.Module:
        return ConvModule(
            *(in_channels, self.channels, self.kernel_size),
            **dict(padding=padding, dilation=dilation),
            **dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg),
        )

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """What the classifier takes."""
        x = self._transform_inputs(inputs)
        features = self.convs(x)
        return self.conv_cat(torch.cat([x, features], dim=1)) if self.concat_input else features

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))


@MODELS.register_module()
class DepthwiseSeparableFCNHead(FCNHead):
    """FCNHead with depthwise separable convolutions (Fast-SCNN, arXiv 1902.04502).

    Args:
        dw_act_cfg: activation between depthwise and pointwise convolution, none by default.
        fcn: as for :class:`FCNHead`.
    """

    def __init__(self, dw_act_cfg: dict | None = None, **fcn) -> None:
        self.dw_act_cfg = dw_act_cfg
        super().__init__(**fcn)

    def make_conv(self, in_channels: int, padding: int, dilation: int = 1) -> nn.Module:
        return DepthwiseSeparableConvModule(
            *(in_channels, self.channels, self.kernel_size),
            **dict(padding=padding, dilation=dilation, norm_cfg=self.norm_cfg, dw_act_cfg=self.dw_act_cfg),
        )
