"""Mask2Former's pixel decoder: attention across the coarse maps, then a step up to the finest.

Source: Cheng et al., "Masked-attention Mask Transformer", CVPR 2022 (arXiv 2112.01527). Maps are B x C x H x W,
tokens B x N x C. Parameter names are the published ones but for those that ``convert_published`` translates.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ..layers import FFN, MSDeformAttention, sine_positional_encoding
from ..utils import resize


class EncoderLayer(nn.Module):
    """Deformable attention of all cells over all levels, and an FFN, each residual: B x S x C -> B x S x C."""

    def __init__(self, dim: int, num_heads: int, num_levels: int, num_points: int, ffn_channels: int) -> None:
        super().__init__()
        self.self_attn = MSDeformAttention(dim, num_heads, num_levels, num_points)
        self.ffn = FFN(dim, ffn_channels)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))

    def forward(self, x: Tensor, pos: Tensor, reference: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        x = self.norms[0](x + self.self_attn(x + pos, x, reference, shapes))
        return self.norms[1](x + self.ffn(x))


class PixelDecoder(nn.Module):
    """Maps of falling resolution -> per-pixel embeddings at the finest one, and refined coarse maps.

    Args:
        in_channels: channels of the maps, finest first.
        channels: width C; a multiple of 32, the groups of its norms.
        num_levels: how many of the coarsest maps attend to each other; the finer ones come in by addition.
        num_layers, num_heads, num_points, ffn_channels: of the attention's layers.

    Returns (``forward``):
        the embeddings, B x C x H x W at the finest map's size, and the ``num_levels`` refined maps,
        coarsest first.
    """

    recordable = True

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        num_levels: int,
        num_layers: int,
        num_heads: int,
        num_points: int,
        ffn_channels: int,
    ) -> None:
        super().__init__()
        norm_cfg = dict(type='GN', num_groups=32)
        self.num_levels = num_levels
        fine, coarse = in_channels[:-num_levels], in_channels[-num_levels:]
        self.input_convs = nn.ModuleList(
            ConvModule(c, channels, 1, bias=True, norm_cfg=norm_cfg, act_cfg=None) for c in reversed(coarse)
        )
        self.level_encoding = nn.Embedding(num_levels, channels)
        layer = dict(num_levels=num_levels, num_heads=num_heads, num_points=num_points, ffn_channels=ffn_channels)
        self.encoder = nn.ModuleDict(
            dict(layers=nn.ModuleList(EncoderLayer(channels, **layer) for _ in range(num_layers)))
        )
        self.lateral_convs = nn.ModuleList(ConvModule(c, channels, 1, norm_cfg=norm_cfg, act_cfg=None) for c in fine)
        self.output_convs = nn.ModuleList(ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg) for _ in fine)
        self.mask_feature = nn.Conv2d(channels, channels, 1)
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.input_convs:
            nn.init.xavier_uniform_(module.conv.weight)
            nn.init.zeros_(module.conv.bias)
        for conv in (*(module.conv for module in (*self.lateral_convs, *self.output_convs)), self.mask_feature):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        nn.init.zeros_(self.mask_feature.bias)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        coarse = [conv(x) for conv, x in zip(self.input_convs, reversed(maps[-self.num_levels :]), strict=True)]
        outputs = self.attend(coarse)
        x = outputs[-1]
        fine = list(zip(maps, self.lateral_convs, self.output_convs))  # noqa: B905 (the maps before the coarse ones)
        for finer, lateral_conv, output_conv in reversed(fine):
            lateral = lateral_conv(finer)
            x = output_conv(lateral + resize(x, size=lateral.shape[-2:]))
        return self.mask_feature(x), outputs

    def attend(self, maps: Sequence[Tensor]) -> list[Tensor]:
        shapes = [tuple(x.shape[-2:]) for x in maps]
        channels, device = maps[0].shape[1], maps[0].device
        dtype = self.level_encoding.weight.dtype
        pos = torch.cat(
            [
                sine_positional_encoding(*shape, channels, device).to(dtype) + level
                for shape, level in zip(shapes, self.level_encoding.weight, strict=True)
            ]
        )
        reference = torch.cat([cell_centres(*shape, device) for shape in shapes])
        x = torch.cat([x.flatten(2) for x in maps], dim=2).transpose(1, 2)
        for layer in self.encoder['layers']:
            x = layer(x, pos, reference, shapes)
        levels = x.transpose(1, 2).split([height * width for height, width in shapes], dim=2)
        return [level.unflatten(2, shape) for level, shape in zip(levels, shapes, strict=True)]


def cell_centres(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(x, y) of every cell's centre, as a fraction of the map: HW x 2."""
    y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
    x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
    return torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1).flatten(0, 1)
