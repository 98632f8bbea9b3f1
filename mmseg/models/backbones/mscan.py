"""MSCAN, SegNeXt's encoder: attention by large convolutions. Source: Guo et al., NeurIPS 2022 (arXiv 2209.08575).

Maps are B x C x H x W. Parameter names are the published ones.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils import nchw2nlc2nchw
from .base import StagedBackbone


class MSCAAttention(BaseModule):
    """x times a mixture of its surroundings, seen by pairs of strip convolutions.

    Args:
        channels: C.
        kernel_sizes: side of the first, square convolution, then (1, length) of each pair.
        paddings: of each, in the same form.
    """

    def __init__(
        self,
        channels: int,
        kernel_sizes: Sequence = (5, (1, 7), (1, 11), (1, 21)),
        paddings: Sequence = (2, (0, 3), (0, 5), (0, 10)),
    ) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, kernel_sizes[0], padding=paddings[0], groups=channels)
        self.strips = range(len(kernel_sizes) - 1)
        for i, size, padding in zip(self.strips, kernel_sizes[1:], paddings[1:], strict=True):
            row = nn.Conv2d(channels, channels, tuple(size), padding=tuple(padding), groups=channels)
            column = nn.Conv2d(channels, channels, tuple(size)[::-1], padding=tuple(padding)[::-1], groups=channels)
            self.add_module(f'conv{i}_1', row)
            self.add_module(f'conv{i}_2', column)
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.conv0(x)
        wide = [getattr(self, f'conv{i}_2')(getattr(self, f'conv{i}_1')(near)) for i in self.strips]
        return self.conv3(near + sum(wide)) * x


class MSCASpatialAttention(BaseModule):
    """x + proj_2(attention(act(proj_1(x))))."""

    def __init__(
        self,
        in_channels: int,
        attention_kernel_sizes: Sequence = (5, (1, 7), (1, 11), (1, 21)),
        attention_kernel_paddings: Sequence = (2, (0, 3), (0, 5), (0, 10)),
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
    ) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(in_channels, in_channels, 1)
        self.activation = build_activation_layer(act_cfg)
        self.spatial_gating_unit = MSCAAttention(in_channels, attention_kernel_sizes, attention_kernel_paddings)
        self.proj_2 = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))


class Mlp(BaseModule):
    """Pointwise MLP with a depthwise convolution inside."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_features, hidden_features, 1)
        self.dwconv = nn.Conv2d(hidden_features, hidden_features, 3, padding=1, groups=hidden_features)
        self.act = build_activation_layer(act_cfg)
        self.fc2 = nn.Conv2d(hidden_features, in_features, 1)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.dwconv(self.fc1(x))))))


class MSCABlock(BaseModule):
    """Attention and MLP, each behind a norm, scaled channel by channel, and residual.

    Args:
        channels: C.
        attention_kernel_sizes, attention_kernel_paddings: as for :class:`MSCAAttention`.
        mlp_ratio: hidden channels of the MLP, in multiples of C.
        drop, drop_path: dropout in the MLP, and of whole branches.
        act_cfg, norm_cfg: layers, as for mmcv's builders.
    """

    def __init__(
        self,
        channels: int,
        attention_kernel_sizes: Sequence = (5, (1, 7), (1, 11), (1, 21)),
        attention_kernel_paddings: Sequence = (2, (0, 3), (0, 5), (0, 10)),
        mlp_ratio: float = 4.0,
        drop: float = 0.0,
        drop_path: float = 0.0,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='SyncBN', requires_grad=True),  # noqa: B006 (read only)
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(norm_cfg, channels)[1]
        self.attn = MSCASpatialAttention(channels, attention_kernel_sizes, attention_kernel_paddings, act_cfg)
        self.norm2 = build_norm_layer(norm_cfg, channels)[1]
        self.mlp = Mlp(channels, int(channels * mlp_ratio), act_cfg, drop)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), 1e-2))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.attn(self.norm1(x)))
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


class StemConv(BaseModule):
    """B x in_channels x H x W -> B x out_channels x H/4 x W/4 in two 3x3 convolutions."""

    def __init__(self, in_channels: int, out_channels: int, act_cfg: dict, norm_cfg: dict) -> None:
        super().__init__()
        half = out_channels // 2
        self.proj = nn.Sequential(
            *(nn.Conv2d(in_channels, half, 3, 2, 1), build_norm_layer(norm_cfg, half)[1]),
            build_activation_layer(act_cfg),
            *(nn.Conv2d(half, out_channels, 3, 2, 1), build_norm_layer(norm_cfg, out_channels)[1]),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class OverlapPatchEmbed(BaseModule):
    """B x in_channels x H x W -> B x embed_dim x H/2 x W/2; odd sizes round up."""

    def __init__(self, in_channels: int, embed_dim: int, norm_cfg: dict) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dim, 3, 2, 1)
        self.norm = build_norm_layer(norm_cfg, embed_dim)[1]

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


@MODELS.register_module()
class MSCAN(StagedBackbone):
    """SegNeXt's encoder: B x 3 x H x W -> a map a stage, at strides 4, 8, 16 and 32.

    Args:
        in_channels: of the image.
        embed_dims, mlp_ratios, depths: a number for each stage.
        drop_rate, act_cfg, norm_cfg, attention_kernel_sizes, attention_kernel_paddings: as for :class:`MSCABlock`.
        drop_path_rate: of the last block; it rises linearly from 0 at the first.
        num_stages: how many.
        pretrained, init_cfg: as for :class:`Backbone`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        mlp_ratios: Sequence[float] = (4, 4, 4, 4),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        depths: Sequence[int] = (3, 4, 6, 3),
        num_stages: int = 4,
        attention_kernel_sizes: Sequence = (5, (1, 7), (1, 11), (1, 21)),
        attention_kernel_paddings: Sequence = (2, (0, 3), (0, 5), (0, 10)),
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='SyncBN', requires_grad=True),  # noqa: B006 (read only)
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, init_cfg)
        self.num_stages, self.out_indices = num_stages, tuple(range(num_stages))
        self.out_channels = list(embed_dims[:num_stages])
        drop_path = iter(torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist())
        for i in range(num_stages):
            dim = embed_dims[i]
            if i == 0:
                embed = StemConv(in_channels, dim, act_cfg, norm_cfg)
            else:
                embed = OverlapPatchEmbed(embed_dims[i - 1], dim, norm_cfg)
            kernels = (attention_kernel_sizes, attention_kernel_paddings)
            blocks = [
                MSCABlock(dim, *kernels, mlp_ratios[i], drop_rate, next(drop_path), act_cfg, norm_cfg)
                for _ in range(depths[i])
            ]
            self.add_module(f'patch_embed{i + 1}', embed)
            self.add_module(f'block{i + 1}', nn.ModuleList(blocks))
            self.add_module(f'norm{i + 1}', nn.LayerNorm(dim))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels / module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
                nn.init.zeros_(module.bias)

    def stage_parts(self, stage: int) -> list[str]:
        return [f'{part}{stage + 1}' for part in ('patch_embed', 'block', 'norm')]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for i in range(1, len(self.out_indices) + 1):
            x = getattr(self, f'patch_embed{i}')(x)
            for block in getattr(self, f'block{i}'):
                x = block(x)
            x = nchw2nlc2nchw(getattr(self, f'norm{i}'), x, contiguous=True)
            maps.append(x)
        return tuple(maps)
