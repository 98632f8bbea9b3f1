"""Mix Transformer, SegFormer's encoder. Source: Xie et al., NeurIPS 2021 (arXiv 2105.15203).

Tokens are B x HW x C, with the map's (H, W) beside them. Parameter names are the published ones.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import PatchEmbed, nlc_to_nchw, recompute
from .base import StagedBackbone


def _drop(dropout_layer: dict | None) -> nn.Module:
    return DropPath(dropout_layer['drop_prob']) if dropout_layer and dropout_layer['drop_prob'] else nn.Identity()


class MixFFN(BaseModule):
    """identity + FFN(x), with a depthwise convolution before the activation: B x HW x C -> B x HW x C.

    Args:
        embed_dims, feedforward_channels: C, and channels inside.
        act_cfg: activation, as for mmcv's builder.
        ffn_drop: dropout after each of the two 1x1 convolutions.
        dropout_layer: ``dict(type='DropPath', drop_prob=...)``.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        ffn_drop: float = 0.0,
        dropout_layer: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims, self.feedforward_channels = embed_dims, feedforward_channels
        self.layers = nn.Sequential(
            nn.Conv2d(embed_dims, feedforward_channels, 1),
            nn.Conv2d(feedforward_channels, feedforward_channels, 3, padding=1, groups=feedforward_channels),
            build_activation_layer(act_cfg),
            nn.Dropout(ffn_drop),
            nn.Conv2d(feedforward_channels, embed_dims, 1),
            nn.Dropout(ffn_drop),
        )
        self.dropout_layer = _drop(dropout_layer)

    def forward(self, x: Tensor, hw_shape: Sequence[int], identity: Tensor | None = None) -> Tensor:
        out = self.layers(nlc_to_nchw(x, hw_shape)).flatten(2).transpose(1, 2)
        return (x if identity is None else identity) + self.dropout_layer(out)


class EfficientMultiheadAttention(BaseModule):
    """identity + attention to the map reduced ``sr_ratio`` times along each side: B x HW x C -> B x HW x C.

    Args:
        embed_dims, num_heads: C, and heads that divide it.
        attn_drop, proj_drop: dropout of the weights, and of what they give.
        dropout_layer: ``dict(type='DropPath', drop_prob=...)``.
        batch_first: kept for configs that spell it out; only True is possible.
        qkv_bias: whether the projections have biases.
        norm_cfg: norm of the reduced map.
        sr_ratio: the reduction.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: dict | None = None,
        init_cfg: dict | list | None = None,
        batch_first: bool = True,
        qkv_bias: bool = False,
        norm_cfg: dict = dict(type='LN'),  # noqa: B006 (read only)
        sr_ratio: int = 1,
    ) -> None:
        super().__init__(init_cfg)
        require(batch_first, 'EfficientMultiheadAttention: batch_first=False is not supported')
        self.embed_dims, self.num_heads, self.sr_ratio = embed_dims, num_heads, sr_ratio
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, attn_drop, bias=qkv_bias, batch_first=True)
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = _drop(dropout_layer)
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor, hw_shape: Sequence[int], identity: Tensor | None = None) -> Tensor:
        memory = x
        if self.sr_ratio > 1:
            memory = self.norm(self.sr(nlc_to_nchw(x, hw_shape)).flatten(2).transpose(1, 2))
        out = self.proj_drop(self.attn(x, memory, memory, need_weights=False)[0])
        return (x if identity is None else identity) + self.dropout_layer(out)


class TransformerEncoderLayer(BaseModule):
    """Attention and FFN, each behind a norm and residual: B x HW x C -> B x HW x C.

    Args:
        embed_dims, num_heads, feedforward_channels: C, heads, channels inside the FFN.
        drop_rate, attn_drop_rate, drop_path_rate: dropout of branches, of attention weights, of whole branches.
        qkv_bias, sr_ratio: as for :class:`EfficientMultiheadAttention`.
        act_cfg, norm_cfg: layers, as for mmcv's builders.
        batch_first: kept for configs that spell it out; only True is possible.
        with_cp: recompute activations in the backward pass.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='LN'),  # noqa: B006 (read only)
        batch_first: bool = True,
        sr_ratio: int = 1,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        drop = dict(type='DropPath', drop_prob=drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = EfficientMultiheadAttention(
            *(embed_dims, num_heads, attn_drop_rate, drop_rate, drop),
            **dict(batch_first=batch_first, qkv_bias=qkv_bias, norm_cfg=norm_cfg, sr_ratio=sr_ratio),
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, feedforward_channels, act_cfg, drop_rate, drop)
        self.with_cp = with_cp

    def _layer(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        x = self.attn(self.norm1(x), hw_shape, identity=x)
        return self.ffn(self.norm2(x), hw_shape, identity=x)

    def forward(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        return recompute(self._layer, x, hw_shape, when=self.with_cp)


@MODELS.register_module()
class MixVisionTransformer(StagedBackbone):
    """SegFormer's encoder: B x 3 x H x W -> a map for each of ``out_indices``, at strides 4, 8, 16 and 32.

    Args:
        in_channels: of the image.
        embed_dims: channels of a head; a stage has ``embed_dims * num_heads``.
        num_stages: 1 to 4.
        num_layers, num_heads, patch_sizes, strides, sr_ratios: a number for each stage.
        out_indices: the stages whose maps are returned; those behind the last of them are not built.
        mlp_ratio: hidden channels of the FFNs, in multiples of C.
        qkv_bias, drop_rate, attn_drop_rate, act_cfg, norm_cfg, with_cp: as for :class:`TransformerEncoderLayer`.
        drop_path_rate: of the last layer; it rises linearly from 0 at the first.
        pretrained, init_cfg: as for :class:`Backbone`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 4, 8),
        patch_sizes: Sequence[int] = (7, 3, 3, 3),
        strides: Sequence[int] = (4, 2, 2, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: int = 4,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='LN', eps=1e-6),  # noqa: B006 (read only)
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__(pretrained, init_cfg)
        given = dict(num_layers=num_layers, num_heads=num_heads, patch_sizes=patch_sizes)
        for name, value in (given | dict(strides=strides, sr_ratios=sr_ratios)).items():
            require(
                len(value) == num_stages,
                f'MixVisionTransformer: {name}={value} must have a number for each of {num_stages} stages',
            )
        require(
            max(out_indices) < num_stages, f'MixVisionTransformer: out_indices={out_indices} of {num_stages} stages'
        )
        self.num_stages, self.out_indices = num_stages, tuple(out_indices)
        dims = [embed_dims * heads for heads in num_heads]
        self.out_channels = [dims[i] for i in self.out_indices]
        shared = dict(drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, qkv_bias=qkv_bias)
        shared |= dict(act_cfg=act_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
        drop_path = iter(torch.linspace(0, drop_path_rate, sum(num_layers), device='cpu').tolist())
        self.layers = nn.ModuleList()
        for i, dim in enumerate(dims):
            embed = PatchEmbed(
                *(dims[i - 1] if i else in_channels, dim),
                **dict(kernel_size=patch_sizes[i], stride=strides[i], padding=patch_sizes[i] // 2, norm_cfg=norm_cfg),
            )
            blocks = nn.ModuleList(
                TransformerEncoderLayer(
                    *(dim, num_heads[i], mlp_ratio * dim),
                    **dict(drop_path_rate=next(drop_path), sr_ratio=sr_ratios[i], **shared),
                )
                for _ in range(num_layers[i])
            )
            self.layers.append(nn.ModuleList([embed, blocks, build_norm_layer(norm_cfg, dim)[1]]))
        self._draw_weights()
        self.drop_unread()

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
            elif isinstance(module, nn.MultiheadAttention):
                trunc_normal_(module.in_proj_weight, std=0.02)
            elif isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels / module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
            if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def stage_parts(self, stage: int) -> list[str]:
        return [f'layers.{stage}']

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for embed, blocks, norm in self.layers:
            x, hw_shape = embed(x)
            for block in blocks:
                x = block(x, hw_shape)
            x = nlc_to_nchw(norm(x), hw_shape)
            maps.append(x)
        return tuple(maps[i] for i in self.out_indices)
