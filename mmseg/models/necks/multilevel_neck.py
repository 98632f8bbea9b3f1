"""Several scales from the maps of a network that has one, e.g. a plain vision transformer."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import resize


@MODELS.register_module()
class MultiLevelNeck(BaseModule):
    """Each map at one width and at its own factor of size; a single map serves all factors.

    Args:
        in_channels: of the maps.
        out_channels: width of what is returned.
        scales: a factor for each map returned.
        norm_cfg, act_cfg: layers, as for mmcv's ConvModule.

    Attributes:
        out_channels: channels of the maps returned.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        scales: Sequence[float] = (0.5, 1, 2, 4),
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        require(
            isinstance(in_channels, (list, tuple)), f'MultiLevelNeck: in_channels={in_channels} must be a list or tuple'
        )
        require(
            len(in_channels) in (1, len(scales)),
            f'MultiLevelNeck: in_channels={in_channels} must be one number, or one for each of scales={scales}',
        )
        self.in_channels, self.scales = in_channels, scales
        self.out_channels = [out_channels] * len(scales)
        layers = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.lateral_convs = nn.ModuleList(ConvModule(c, out_channels, 1, **layers) for c in in_channels)
        self.convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, padding=1, **layers) for _ in scales)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        require(
            len(inputs) == len(self.in_channels),
            f'MultiLevelNeck: {len(inputs)} maps for in_channels={self.in_channels}',
        )
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)]
        maps = maps * len(self.scales) if len(maps) == 1 else maps
        return tuple(
            conv(resize(x, scale_factor=scale)) for conv, x, scale in zip(self.convs, maps, self.scales, strict=True)
        )
