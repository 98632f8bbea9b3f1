"""Feature pyramid. Source: Lin et al., CVPR 2017 (arXiv 1612.03144). Maps are B x C x H x W."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import resize


@MODELS.register_module()
class FPN(BaseModule):
    """Coarse maps are added to finer ones, all at one width: ``num_outs`` maps, finest first.

    Args:
        in_channels: of the maps, finest first.
        out_channels: width of the pyramid.
        num_outs: maps returned; those beyond the inputs halve in turn.
        start_level, end_level: the maps to use, the first and the one after the last; -1 for all.
        add_extra_convs: further maps by 3x3 convolutions, 'on_input' (the same as True), 'on_lateral' or
            'on_output'; False takes every other pixel of the last.
        extra_convs_on_inputs: with ``add_extra_convs=True``, False stands for 'on_output'.
        relu_before_extra_convs: activate between them.
        no_norm_on_lateral: 1x1 convolutions without norm.
        conv_cfg, norm_cfg, act_cfg: layers, as for mmcv's ConvModule.
        upsample_cfg: ``mode`` of the resize; with ``scale_factor``, by that factor instead of to the finer map's size.

    Attributes:
        out_channels: channels of the maps returned.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        extra_convs_on_inputs: bool = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        upsample_cfg: dict = dict(mode='nearest'),  # noqa: B006 (read only)
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        require(isinstance(in_channels, (list, tuple)), f'FPN: in_channels={in_channels} must be a list or tuple')
        whole = end_level in (-1, len(in_channels) - 1)
        end = len(in_channels) if whole else end_level + 1
        used = end - start_level
        require(end <= len(in_channels), f'FPN: end_level={end_level} of {len(in_channels)} maps')
        require(
            num_outs >= used if whole else num_outs == used,
            f'FPN: num_outs={num_outs} of {used} maps (start_level={start_level}, end_level={end_level})',
        )
        if add_extra_convs is True:
            add_extra_convs = 'on_input' if extra_convs_on_inputs else 'on_output'
        require(
            add_extra_convs in (False, 'on_input', 'on_lateral', 'on_output'),
            f"FPN: add_extra_convs={add_extra_convs!r} is not 'on_input', 'on_lateral', 'on_output' or False",
        )
        self.levels = slice(start_level, end)
        self.num_outs, self.add_extra_convs = num_outs, add_extra_convs
        self.relu_before_extra_convs, self.upsample_cfg = relu_before_extra_convs, dict(upsample_cfg)
        self.out_channels = [out_channels] * num_outs

        layers = dict(conv_cfg=conv_cfg, act_cfg=act_cfg, inplace=False)
        lateral_norm = None if no_norm_on_lateral else norm_cfg
        self.lateral_convs = nn.ModuleList(
            ConvModule(c, out_channels, 1, norm_cfg=lateral_norm, **layers) for c in in_channels[self.levels]
        )
        layers |= dict(norm_cfg=norm_cfg, padding=1)
        self.fpn_convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, **layers) for _ in range(used))
        for i in range(num_outs - used if add_extra_convs else 0):
            first_on_input = i == 0 and add_extra_convs == 'on_input'
            channels = in_channels[end - 1] if first_on_input else out_channels
            self.fpn_convs.append(ConvModule(channels, out_channels, 3, stride=2, **layers))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        used = inputs[self.levels]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        for i in range(len(laterals) - 1, 0, -1):
            size = {} if 'scale_factor' in self.upsample_cfg else dict(size=laterals[i - 1].shape[-2:])
            laterals[i - 1] = laterals[i - 1] + resize(laterals[i], **size, **self.upsample_cfg)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]  # noqa: B905 (extra ones follow)
        if not self.add_extra_convs:
            while len(outs) < self.num_outs:
                outs.append(F.max_pool2d(outs[-1], 1, stride=2))
            return tuple(outs)
        x = {'on_input': used[-1], 'on_lateral': laterals[-1], 'on_output': outs[-1]}[self.add_extra_convs]
        for i, conv in enumerate(self.fpn_convs[len(laterals) :]):
            x = conv(F.relu(x) if i and self.relu_before_extra_convs else x)
            outs.append(x)
        return tuple(outs)
