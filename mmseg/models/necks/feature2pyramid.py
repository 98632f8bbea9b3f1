"""A pyramid from the maps of a plain vision transformer, which all have one size (BEiT, arXiv 2106.08254)."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS


@MODELS.register_module()
class Feature2Pyramid(BaseModule):
    """Map i at ``rescales[i]`` times its size.

    Args:
        embed_dim: channels of all maps.
        rescales: factors 4, 2, 1, 0.5 or 0.25.
        norm_cfg: norm between the two doublings of factor 4.

    Raises:
        KeyError: another factor.
    """

    def __init__(
        self,
        embed_dim: int,
        rescales: Sequence[float] = (4, 2, 1, 0.5),
        norm_cfg: dict = dict(type='SyncBN', requires_grad=True),  # noqa: B006 (read only)
    ) -> None:
        super().__init__()

        def double() -> nn.Module:
            return nn.ConvTranspose2d(embed_dim, embed_dim, 2, 2)

        names = {4: 'upsample_4x', 2: 'upsample_2x', 1: 'identity', 0.5: 'downsample_2x', 0.25: 'downsample_4x'}
        makers = {
            4: lambda: nn.Sequential(double(), build_norm_layer(norm_cfg, embed_dim)[1], nn.GELU(), double()),
            2: lambda: nn.Sequential(double()),
            1: nn.Identity,
            0.5: lambda: nn.MaxPool2d(2, 2),
            0.25: lambda: nn.MaxPool2d(4, 4),
        }
        if unknown := [factor for factor in rescales if factor not in names]:
            raise KeyError(f'Feature2Pyramid: rescales={rescales}: {unknown} is none of {", ".join(map(str, names))}')
        self.rescales = rescales
        self.out_channels = [embed_dim] * len(rescales)
        self.names = [names[factor] for factor in rescales]
        for factor in rescales:
            self.add_module(names[factor], makers[factor]())

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(getattr(self, name)(x) for name, x in zip(self.names, inputs, strict=True))
