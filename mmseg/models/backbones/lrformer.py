"""LRFormer: a pyramid vision transformer whose attention is computed at low resolution.

Source: Wu et al., "Low-Resolution Self-Attention for Semantic Segmentation", TPAMI 2025 (arXiv 2310.05026).

Feature maps are B x C x H x W throughout. Only :class:`LRSA` leaves that layout, for tokens
B x N x C on its pooled grid. The parameter names are ours; :meth:`Block.convert_published` and
:meth:`LRFormer.convert_published` translate the published ones while weights load.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import DropPath, LayerNorm2d, LayerScale2d, trunc_normal_
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..layers import Linear, adaptive_avg_pools, exporting, in_strips, interpolate_bilinear
from ..layers.exporting import low_res_pools as export_low_res_pools
from ..layers.mlp import MLP, ResidualDWConv, residual
from ..utils import recompute, stages_to_freeze
from .base import StagedBackbone


class Variant(NamedTuple):
    """The sizes of one member of the family; four numbers are one a stage."""

    embed_dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    head_channels: int  # width of the LRHead that goes with it
    num_heads: tuple[int, int, int, int] = (2, 4, 10, 16)
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    q_pooled_sizes: tuple[int, int, int, int] = (16, 16, 16, 16)


VARIANTS = {
    'n': Variant((24, 48, 120, 192), (1, 1, 3, 1), 128),  # nano: ours, not published
    't': Variant((48, 96, 240, 384), (2, 2, 6, 3), 256),
    's': Variant((64, 128, 320, 512), (3, 3, 12, 3), 384),
    'b': Variant((80, 160, 400, 512), (4, 4, 15, 8), 512),
    'l': Variant((96, 192, 480, 640), (4, 6, 18, 8), 640),
    'xl': Variant((128, 256, 640, 768), (4, 8, 22, 8), 768),  # published with Mask2Former only
}

PYRAMID = (11, 8, 6, 4)  # short sides of the key/value grids when the query grid is 16


def grid_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width of the grid with that short side and with the aspect ratio of a map."""
    long_side = round(max(height, width) * short_side / min(height, width) + 0.001)
    return (short_side, long_side) if width >= height else (long_side, short_side)


def pool_to_grids(x: Tensor, short_sides: Sequence[int]) -> list[Tensor]:
    """Average-pools B x C x H x W to grids of these short sides."""
    if exporting():
        return export_low_res_pools(x, short_sides)
    return adaptive_avg_pools(x, [grid_size(*x.shape[-2:], short_side) for short_side in short_sides])


def to_tokens(x: Tensor) -> Tensor:
    """B x C x H x W -> B x HW x C."""
    return x.flatten(2).transpose(1, 2)


class LRSA(nn.Module):
    """Low-resolution self-attention, the paper's mechanism: B x C x H x W -> B x C x h x w, the query grid.

    Queries are the map pooled to a grid of short side ``q_pooled_size``, keys and values its pyramid
    of coarser poolings, so that the cost of attention does not depend on H x W.

    Args:
        dim: channels C.
        num_heads: attention heads; divides ``dim``.
        q_pooled_size: short side of the query grid, in cells.
    """

    def __init__(self, dim: int, num_heads: int, q_pooled_size: int = 16) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'LRSA: {dim} channels do not split into num_heads={num_heads}')
        self.num_heads = num_heads
        self.q_size = q_pooled_size
        self.kv_sizes = [round(size * q_pooled_size / 16 + 0.001) for size in PYRAMID]
        self.q = Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.kv = Linear(dim, 2 * dim)
        self.proj = Linear(dim, dim)
        for linear in (self.q, self.kv, self.proj):
            trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, pyramid: nn.ModuleList) -> Tensor:
        q_map, *maps = pool_to_grids(x, (self.q_size, *self.kv_sizes))
        levels = [conv(level) for level, conv in zip(maps, pyramid, strict=True)]
        tokens = torch.cat([to_tokens(level) for level in levels], dim=1)

        q = self.split_heads(self.q(to_tokens(q_map)))
        k, v = map(self.split_heads, self.kv(self.norm(tokens)).chunk(2, dim=-1))
        out = self.attend(q, k, v)  # B x heads x N x C/heads
        out = self.proj(out.transpose(1, 2).flatten(2))

        return out.unflatten(1, q_map.shape[-2:]).permute(0, 3, 1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """B x heads x N x C/heads each. Runtimes hold all of a product of queries and keys: of fine grids, a head's."""
        if not exporting() or self.q_size <= 16:
            return F.scaled_dot_product_attention(q, k, v)
        heads = zip(*(x.split(1, dim=1) for x in (q, k, v)), strict=True)
        return torch.cat([F.scaled_dot_product_attention(*head) for head in heads], dim=1)

    def split_heads(self, tokens: Tensor) -> Tensor:
        """B x N x C -> B x heads x N x C/heads."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Position encoding, LRSA and MLP, each residual: B x C x H x W -> B x C x H x W.

    The backbone's stages and the LRHead's fuse blocks are made of it.

    Args:
        dim: channels C.
        num_heads: attention heads.
        mlp_ratio: hidden width of the MLP, in multiples of C.
        q_pooled_size: short side of LRSA's query grid.
        norm_layer: makes the norm of C channels before LRSA and before the MLP (timm's has eps 1e-6).
        layer_scale: initial value of the per-channel scale on both branches; None for no scale.
        pre_norm: put a BatchNorm in front, which keeps deep stages within fp16's range.
        drop_path: probability of dropping a branch in training.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: int = 4,
        q_pooled_size: int = 16,
        norm_layer=LayerNorm2d,
        layer_scale: float | None = None,
        pre_norm: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if layer_scale is None else LayerScale2d(dim, layer_scale)

        self.pre_norm = nn.BatchNorm2d(dim) if pre_norm else nn.Identity()
        self.cpe = ResidualDWConv(dim)
        self.norm1, self.norm2 = norm_layer(dim), norm_layer(dim)
        self.attn = LRSA(dim, num_heads, q_pooled_size)
        self.mlp = MLP(dim, mlp_ratio)
        self.ls1, self.ls2 = scale(), scale()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, pyramid: nn.ModuleList) -> Tensor:
        x = self.cpe(self.pre_norm(x))
        x = self.attend(x, pyramid)
        if self.training:  # a BatchNorm needs all rows
            return self.feed_forward(x)
        return in_strips(self.feed_forward, x, halo=1, width=self.mlp.fc1.out_channels)

    def attend(self, x: Tensor, pyramid: nn.ModuleList) -> Tensor:
        low = self.drop_path(self.ls1(self.attn(self.norm1(x), pyramid)))  # scaled where it is small
        return residual(x, interpolate_bilinear(low, x.shape[-2:]))

    def feed_forward(self, x: Tensor) -> Tensor:
        return residual(x, self.drop_path(self.ls2(self.mlp(self.norm2(x)))))

    @staticmethod
    def convert_published(state_dict: dict, prefix: str) -> None:
        """Renames the published entries of the block at ``prefix`` to ours, in place."""
        for name in [name for name in state_dict if name.startswith(prefix)]:
            ours = re.sub(r'layer_scale_([12])$', r'ls\1.gamma', name[len(prefix) :])
            ours = re.sub(r'^attn\.(q|kv)\.0\.', r'attn.\1.', ours)
            value = state_dict.pop(name)
            # The head's query projection is published as a 1x1 convolution.
            state_dict[prefix + ours] = value.flatten(1) if ours == 'attn.q.weight' else value

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        self.convert_published(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Stem(nn.Module):
    """B x in_channels x H x W -> B x C x H/4 x W/4 in four 3x3 convolutions; odd sizes round up."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(nn.Conv2d(in_channels, dim // 2, 3, 2, 1), nn.BatchNorm2d(dim // 2), nn.GELU()),
            *(nn.Conv2d(dim // 2, dim // 2, 3, 1, 1), nn.BatchNorm2d(dim // 2), nn.GELU()),
            *(nn.Conv2d(dim // 2, dim, 3, 2, 1), nn.BatchNorm2d(dim), nn.GELU()),
            nn.Conv2d(dim, dim, 3, 1, 1),
        )
        self.norm = LayerNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convs(x))


class Downsample(nn.Module):
    """B x in_channels x H x W -> B x C x H/2 x W/2; odd sizes round up."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, 2, 1)
        self.norm = LayerNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class Stage(nn.Module):
    """An embedding that lowers the resolution, then blocks that share one key/value pyramid.

    Args:
        embed: :class:`Stem` or :class:`Downsample`.
        blocks: the stage's blocks, all of ``dim`` channels.
        dim: channels of the stage's maps.
        with_cp: recompute the blocks' activations in the backward pass instead of keeping them.
    """

    def __init__(self, embed: nn.Module, blocks: list[Block], dim: int, with_cp: bool = False) -> None:
        super().__init__()
        self.embed = embed
        self.pyramid = nn.ModuleList(ResidualDWConv(dim) for _ in PYRAMID)
        self.blocks = nn.ModuleList(blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = recompute(block, x, self.pyramid, when=self.with_cp)
        return x


@MODELS.register_module()
class LRFormer(StagedBackbone):
    """The LRFormer backbone: B x 3 x H x W -> one map a stage, at strides 4, 8, 16 and 32.

    H and W may be anything from 32 up; a map's side is ceil(side / stride).

    Args:
        variant: 't', 's', 'b', 'l' or 'xl' as published, 'n' for a nano model of ours.
        embed_dims, depths, num_heads, mlp_ratios, q_pooled_sizes: four numbers each, one a stage, in
            place of the variant's. Without a variant, ``embed_dims`` and ``depths`` are required.
        in_channels: channels of the image.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        out_indices: the stages whose maps are returned; those behind the last of them are not built.
        frozen_stages: how many of the first stages do not learn; 0 freezes the stem alone, -1 nothing.
        with_cp: gradient checkpointing: less memory, one more forward pass in training.
        q_conv, extra_act, use_ls: keys of the published configs, accepted at these values only.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` loads ImageNet weights and raises when
            anything but their classification entries does not fit; ``adapt_input_channels=True`` in it for
            another ``in_channels`` than their 3.

    Attributes:
        out_channels: channels of the maps returned.
        head_channels: the width that an LRHead on this variant has, None without a variant.

    Raises:
        TypeError: for an unknown key, with the key to use where there is one.
    """

    MAY_GO_UNUSED = r'head\.|norm'  # of an image classification network
    num_stages = 4

    def __init__(
        self,
        variant: str | None = None,
        *,
        embed_dims: tuple[int, ...] | None = None,
        depths: tuple[int, ...] | None = None,
        num_heads: tuple[int, ...] | None = None,
        mlp_ratios: tuple[int, ...] | None = None,
        q_pooled_sizes: tuple[int, ...] | None = None,
        in_channels: int = 3,
        drop_path_rate: float = 0.0,
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        q_conv: bool = False,
        extra_act: bool = False,
        use_ls: bool = True,
        init_cfg: dict | None = None,
        **unknown,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        _reject(unknown, q_conv=q_conv, extra_act=extra_act, use_ls=use_ls)
        explicit = dict(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratios=mlp_ratios,
            q_pooled_sizes=q_pooled_sizes,
        )
        sizes = _resolve_sizes(variant, {key: tuple(value) for key, value in explicit.items() if value})
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'LRFormer: drop_path_rate={drop_path_rate} is not in [0, 1)')
        if not isinstance(out_indices, Sequence) or not out_indices or not set(out_indices) <= set(range(4)):
            raise ValueError(f'LRFormer: out_indices={out_indices!r}: list stages among 0, 1, 2, 3, as (0, 1, 2, 3)')

        self.variant = variant
        self.out_indices = tuple(out_indices)
        self.out_channels = [sizes.embed_dims[i] for i in self.out_indices]
        self.head_channels = sizes.head_channels

        drop_path = iter(torch.linspace(0, drop_path_rate, sum(sizes.depths), device='cpu').tolist())
        self.stages = nn.ModuleList()
        for i in range(max(self.out_indices) + 1):
            dim, depth = sizes.embed_dims[i], sizes.depths[i]
            blocks = [
                Block(
                    dim,
                    sizes.num_heads[i],
                    sizes.mlp_ratios[i],
                    sizes.q_pooled_sizes[i],
                    layer_scale=1e-6 if i >= 2 else None,
                    pre_norm=i == 2 and depth > 20 and j in (7, 15),
                    drop_path=next(drop_path),
                )
                for j in range(depth)
            ]
            embed = Stem(in_channels, dim) if i == 0 else Downsample(sizes.embed_dims[i - 1], dim)
            self.stages.append(Stage(embed, blocks, dim, with_cp))
        stages = [f'stages.{i}' for i in range(len(self.stages))]
        self.freeze(stages_to_freeze(frozen_stages, 'stages.0.embed', stages))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.stage_maps(x)
        return tuple(maps[i] for i in self.out_indices)

    def stage_maps(self, x: Tensor, count: int | None = None) -> list[Tensor]:
        """The maps of the first ``count`` stages, without it of all that are built."""
        if any(isinstance(side, int) and side < 32 for side in x.shape[-2:]):  # of a symbol a graph cannot ask
            raise ValueError(
                f'LRFormer: an input of {x.shape[-2]}x{x.shape[-1]} pixels; 32x32 is the smallest: resize it in the '
                'pipeline, or pad it with model.data_preprocessor.test_cfg=dict(size_divisor=32)'
            )
        # Norms leave maps so; from the image on, convolutions need not rearrange them.
        x = x.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.stages[:count]:
            x = stage(x)
            maps.append(x)
        return maps

    def stage_parts(self, stage: int) -> list[str]:
        return [f'stages.{stage}']

    def convert_published(self, state_dict: dict, prefix: str) -> None:
        """Renames the published entries of the backbone at ``prefix`` to ours, in place; leaves out those of stages
        that are not built."""
        rooms = {'patch_embed': 'embed', 'd_convs': 'pyramid', 'block': 'blocks'}
        for name in [name for name in state_dict if name.startswith(prefix)]:
            if found := re.match(r'(patch_embed|d_convs|block)([1-4])\.(.+)', name[len(prefix) :]):
                room, stage, rest = found.groups()
                rest = re.sub(r'^conv1\.', 'convs.', rest)  # the stem's convolutions
                state_dict[f'{prefix}stages.{int(stage) - 1}.{rooms[room]}.{rest}'] = state_dict.pop(name)
        super().convert_published(state_dict, prefix)

    def explain_mismatch(self, state_dict: dict, prefix: str = '') -> str | None:
        """Says so when (converted) weights are those of another variant, else returns None."""

        def widths(weights: dict) -> tuple[int, ...]:
            names = [f'{prefix}stages.{i}.embed.norm.weight' for i in range(4)]
            return tuple(len(weights[name]) for name in names if name in weights)

        theirs, ours = widths(state_dict), widths(self.state_dict(prefix=prefix))
        if not theirs or theirs == ours:
            return None
        count = len(theirs)  # stages that are not built are not compared
        named = next((key for key, variant in VARIANTS.items() if variant.embed_dims[:count] == theirs), None)
        file = f"variant '{named}'" if named else 'no known variant'
        fix = f"; write variant='{named}' in the config, or take another file" if named else ''
        model = f"variant '{self.variant}'" if self.variant else 'no named variant'
        return f'the file holds {file} (widths {theirs}), the model is {model} (widths {ours}){fix}'


def _resolve_sizes(variant: str | None, explicit: dict) -> Variant:
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f'LRFormer: variant={variant!r} is none of {", ".join(map(repr, VARIANTS))}')
    if wrong := {key: value for key, value in explicit.items() if len(value) != 4}:
        raise ValueError(f'LRFormer: four numbers are needed, one a stage, in {wrong}')
    if variant:
        return VARIANTS[variant]._replace(**explicit)
    if not {'embed_dims', 'depths'} <= set(explicit):
        raise ValueError(
            "LRFormer needs a variant (variant='t'), or embed_dims and depths; "
            f'variants: {", ".join(map(repr, VARIANTS))}'
        )
    return Variant(head_channels=None, **explicit)


def _reject(unknown: dict, **fixed) -> None:
    """Raises for keys that do not exist, and for published no-op keys at values that would need code."""
    instead = {
        'checkpoint': "init_cfg=dict(type='Pretrained', checkpoint=FILE)",
        'q_pool_ratios': 'q_pooled_sizes=(16, 16, 16, 16), the short side of the query grid in each stage',
    }
    for key in unknown:
        hint = f'; write {instead[key]} instead' if key in instead else ''
        raise TypeError(f'LRFormer: unknown key {key!r}{hint}')
    for key, value in fixed.items():
        if value != (published := key == 'use_ls'):
            raise TypeError(f'LRFormer: {key}={value} is not supported; the published models have {key}={published}')
