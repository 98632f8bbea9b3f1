"""A stage of a residual network."""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import Sequential
from torch import nn


class ResLayer(Sequential):
    """Residual blocks of one resolution, B x inplanes x H x W -> B x planes * expansion x H/stride x W/stride.

    Args:
        block: class of the blocks; its ``expansion`` times ``planes`` are the channels that one returns.
        inplanes, planes: channels into the stage, and inside its blocks.
        num_blocks: how many.
        stride: of the first block.
        dilation: of the 3x3 convolutions.
        avg_down: halve the first block's shortcut by average pooling instead of by a stride (ResNet-D).
        conv_cfg, norm_cfg: layers, as for mmcv's builders.
        multi_grid: a dilation for each block, in place of ``dilation``.
        contract_dilation: the first block has half the dilation, where that is above 1.
        kwargs: further arguments of ``block``.
    """

    def __init__(
        self,
        block: type,
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        dilation: int = 1,
        avg_down: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006 (read only)
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        **kwargs,
    ) -> None:
        channels = planes * block.expansion
        shortcut = None
        if stride != 1 or inplanes != channels:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            shortcut = nn.Sequential(
                *([pool] if avg_down else []),
                build_conv_layer(conv_cfg, inplanes, channels, 1, stride=1 if avg_down else stride, bias=False),
                build_norm_layer(norm_cfg, channels)[1],
            )
        dilations = [dilation] * num_blocks if multi_grid is None else list(multi_grid)[:num_blocks]
        if multi_grid is None and contract_dilation and dilation > 1:
            dilations[0] = dilation // 2
        kwargs |= dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        super().__init__(
            block(inplanes, planes, stride=stride, dilation=dilations[0], downsample=shortcut, **kwargs),
            *(block(channels, planes, dilation=rate, **kwargs) for rate in dilations[1:]),
        )
