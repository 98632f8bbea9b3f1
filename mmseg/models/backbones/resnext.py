"""ResNeXt: a ResNet whose 3x3 convolutions are grouped. Source: Xie et al., CVPR 2017 (arXiv 1611.05431)."""

from mmseg.registry import MODELS

from ..utils import ResLayer
from .resnet import Bottleneck as _Bottleneck
from .resnet import ResNet


class Bottleneck(_Bottleneck):
    """ResNet's block with a grouped 3x3 convolution of ``planes * base_width / base_channels * groups`` channels.

    Args:
        inplanes, planes: channels in, and a quarter of the channels out.
        groups, base_width, base_channels: of the formula above; ``planes`` channels with one group.
        kwargs: as for ResNet's.
    """

    def __init__(
        self, inplanes: int, planes: int, groups: int = 1, base_width: int = 4, base_channels: int = 64, **kwargs
    ) -> None:
        width = planes if groups == 1 else planes * base_width // base_channels * groups
        super().__init__(inplanes, planes, width=width, groups=groups, **kwargs)


@MODELS.register_module()
class ResNeXt(ResNet):
    """ResNeXt-50, 101 or 152.

    Args:
        depth: 50, 101 or 152.
        groups, base_width: of each 3x3 convolution, and channels of each group in the first stage.
        kwargs: as for :class:`ResNet`.
    """

    arch_settings = {depth: (Bottleneck, ResNet.arch_settings[depth][1]) for depth in (50, 101, 152)}

    def __init__(self, depth: int, groups: int = 1, base_width: int = 4, **kwargs) -> None:
        self.widths = dict(groups=groups, base_width=base_width, base_channels=kwargs.get('base_channels', 64))
        super().__init__(depth, **kwargs)

    def make_res_layer(self, **kwargs) -> ResLayer:
        return ResLayer(**self.widths, **kwargs)
