"""Swin Transformer. Source: Liu et al., ICCV 2021 (arXiv 2103.14030).

Tokens are B x HW x C with the map's (H, W) beside them; windows are taken from maps B x H x W x C. The attention is
timm's, patches and FFN are mmcv's, so that parameters have the published names.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import PatchEmbed, PatchMerging, nlc_to_nchw, recompute, stages_to_freeze
from ..utils.embed import FFN
from .base import StagedBackbone


class ShiftWindowMSA(nn.Module):
    """Attention within windows of a map, which the shift lays half-way between those of other blocks.

    B x HW x C -> B x HW x C; the map is padded with zeros to whole windows.

    Args:
        embed_dims, num_heads: C, and heads that divide it.
        window_size, shift_size: in cells; no shift with 0.
        qkv_bias, qk_scale: of the attention; 1 / sqrt(C / heads) where the scale is None.
        attn_drop_rate, proj_drop_rate: dropout of the weights, and of what they give.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int = 0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        require(0 <= shift_size < window_size, f'shift_size={shift_size} of window_size={window_size}')
        self.window_size, self.shift_size = window_size, shift_size
        self.w_msa = WindowAttention(
            embed_dims,
            num_heads,
            window_size=window_size,
            qkv_bias=qkv_bias,
            attn_drop=attn_drop_rate,
            proj_drop=proj_drop_rate,
        )
        self.w_msa.scale = qk_scale or self.w_msa.scale
        # Published weights hold the table of relative positions, which timm leaves out of its own.
        self.w_msa.register_buffer('relative_position_index', self.w_msa.relative_position_index, persistent=True)

    def forward(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        (H, W), C = hw_shape, x.shape[-1]
        side, shift = (self.window_size, self.window_size), self.shift_size
        x = F.pad(x.unflatten(1, (H, W)), (0, 0, 0, -W % side[1], 0, -H % side[0]))
        padded = x.shape[1:3]
        mask = None
        if shift:
            x = x.roll((-shift, -shift), dims=(1, 2))
            mask = self.strangers(*padded, x.device)
        windows = window_partition(x, side).flatten(1, 2)  # windows x cells x C
        windows = self.w_msa(windows, mask).view(-1, *side, C)
        x = window_reverse(windows, side, *padded)
        if shift:
            x = x.roll((shift, shift), dims=(1, 2))
        return x[:, :H, :W].flatten(1, 2)

    def strangers(self, H: int, W: int, device: torch.device) -> Tensor:
        """-100 for two cells of a window that the shift brought together from opposite edges, else 0."""

        def region(length: int) -> Tensor:
            place = torch.arange(length, device=device)
            return (place >= length - self.window_size).long() + (place >= length - self.shift_size).long()

        regions = (3 * region(H)[:, None] + region(W)).float().view(1, H, W, 1)
        cells = window_partition(regions, (self.window_size, self.window_size)).flatten(1)
        return (cells[:, None] != cells[:, :, None]).float() * -100.0


class SwinBlock(BaseModule):
    """Window attention and FFN, each behind a norm and residual: B x HW x C -> B x HW x C.

    Args:
        embed_dims, num_heads, feedforward_channels: C, heads, channels inside the FFN.
        window_size: in cells; ``shift`` lays the windows half a window off.
        qkv_bias, qk_scale, attn_drop_rate: as for :class:`ShiftWindowMSA`.
        drop_rate, drop_path_rate: dropout of branches, and of whole branches.
        act_cfg, norm_cfg: layers, as for mmcv's builders.
        with_cp: recompute activations in the backward pass.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int = 7,
        shift: bool = False,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='LN'),  # noqa: B006 (read only)
        with_cp: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        drop = dict(type='DropPath', drop_prob=drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = ShiftWindowMSA(
            *(embed_dims, num_heads, window_size, window_size // 2 if shift else 0),
            **dict(qkv_bias=qkv_bias, qk_scale=qk_scale, attn_drop_rate=attn_drop_rate, proj_drop_rate=drop_rate),
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, act_cfg=act_cfg, ffn_drop=drop_rate, dropout_layer=drop)
        self.with_cp = with_cp

    def _block(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        x = x + self.ffn.dropout_layer(self.attn(self.norm1(x), hw_shape))
        return self.ffn(self.norm2(x), identity=x)

    def forward(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        return recompute(self._block, x, hw_shape, when=self.with_cp)


class Stage(nn.Module):
    """Blocks of one resolution, and the step down to the next."""

    def __init__(self, blocks: Sequence[SwinBlock], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor, hw_shape: Sequence[int]) -> Tensor:
        for block in self.blocks:
            x = block(x, hw_shape)
        return x


@MODELS.register_module()
class SwinTransformer(StagedBackbone):
    """Swin: B x 3 x H x W -> a map for each of ``out_indices``, at strides 4, 8, 16 and 32, sides rounded up.

    Args:
        pretrain_img_size: size of the images for which position embeddings are.
        in_channels, embed_dims: of the image, and of the first stage; each stage doubles it.
        patch_size: side of the patches; ``strides[0]`` must equal it.
        window_size: of the attention, in cells.
        mlp_ratio: hidden channels of the FFNs, in multiples of C.
        depths, num_heads, strides: a number for each stage.
        out_indices: the stages whose maps are returned, each behind a norm; later stages are not built.
        qkv_bias, qk_scale, drop_rate, attn_drop_rate, act_cfg, norm_cfg, with_cp: as for :class:`SwinBlock`.
        patch_norm: a norm after the patches.
        drop_path_rate: of the last block; it rises linearly from 0 at the first.
        use_abs_pos_embed: learn a position embedding as well.
        frozen_stages: how many of the first stages do not learn; 0 freezes the embedding alone, -1 nothing.
        pretrained, init_cfg: as for :class:`Backbone`.
    """

    MAY_GO_UNUSED = r'(head|norm)\.|.*\.attn_mask$'
    MAY_BE_MISSING = r'norm\d\.|.*relative_position_index$'

    def __init__(
        self,
        pretrain_img_size: int | Sequence[int] = 224,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int = 4,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        strides: Sequence[int] = (4, 2, 2, 2),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: dict = dict(type='GELU'),  # noqa: B006 (read only)
        norm_cfg: dict = dict(type='LN'),  # noqa: B006 (read only)
        with_cp: bool = False,
        pretrained: str | None = None,
        frozen_stages: int = -1,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, init_cfg)
        size = (pretrain_img_size,) * 2 if isinstance(pretrain_img_size, int) else tuple(pretrain_img_size)
        size = size * 2 if len(size) == 1 else size
        require(len(size) == 2, f'SwinTransformer: pretrain_img_size={pretrain_img_size} must be one or two numbers')
        require(strides[0] == patch_size, f'SwinTransformer: strides[0]={strides[0]} must be patch_size={patch_size}')
        self.num_stages, self.out_indices = len(depths), tuple(out_indices)
        dims = [embed_dims * 2**i for i in range(len(depths))]
        self.out_channels = [dims[i] for i in self.out_indices]

        norm_after = norm_cfg if patch_norm else None
        self.patch_embed = PatchEmbed(in_channels, embed_dims, kernel_size=patch_size, norm_cfg=norm_after)
        self.absolute_pos_embed = None
        if use_abs_pos_embed:
            self.grid = (size[0] // patch_size, size[1] // patch_size)
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], embed_dims))
        self.drop_after_pos = nn.Dropout(drop_rate)

        shared = dict(window_size=window_size, qkv_bias=qkv_bias, qk_scale=qk_scale, drop_rate=drop_rate)
        shared |= dict(attn_drop_rate=attn_drop_rate, act_cfg=act_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
        drop_path = iter(torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist())
        self.stages = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            blocks = [
                SwinBlock(
                    *(dim, num_heads[i], int(mlp_ratio * dim)),
                    **dict(shift=j % 2 == 1, drop_path_rate=next(drop_path), **shared),
                )
                for j in range(depth)
            ]
            last = i == len(depths) - 1
            down = None if last else PatchMerging(dim, 2 * dim, stride=strides[i + 1], norm_cfg=norm_after)
            self.stages.append(Stage(blocks, down))
        for i in self.out_indices:
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, dims[i])[1])
        self._draw_weights()
        self.freeze(self.paths_to_freeze(frozen_stages))
        self.drop_unread()

    def _draw_weights(self) -> None:
        if self.absolute_pos_embed is not None:
            trunc_normal_(self.absolute_pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def stage_parts(self, stage: int) -> list[str]:
        return [f'stages.{stage}', f'stages.{stage - 1}.downsample', f'norm{stage}']

    def paths_to_freeze(self, frozen_stages: int) -> list[str]:
        paths = stages_to_freeze(frozen_stages, 'patch_embed', [f'stages.{i}' for i in range(len(self.stages))])
        if paths and self.absolute_pos_embed is not None:
            paths.append('absolute_pos_embed')
        return paths + [f'norm{i}' for i in self.out_indices if i < frozen_stages]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, hw_shape = self.patch_embed(x)
        if self.absolute_pos_embed is not None:
            x = x + self.position(hw_shape)
        x = self.drop_after_pos(x)
        maps = {}
        for i, stage in enumerate(self.stages):
            x = stage(x, hw_shape)
            if i in self.out_indices:
                maps[i] = nlc_to_nchw(getattr(self, f'norm{i}')(x), hw_shape)
            if i + 1 < len(self.stages):
                x, hw_shape = stage.downsample(x, hw_shape)
        return tuple(maps[i] for i in self.out_indices)

    def position(self, hw_shape: Sequence[int]) -> Tensor:
        """The position embedding for a map of that size, 1 x HW x C."""
        if tuple(hw_shape) == self.grid:
            return self.absolute_pos_embed
        grid = nlc_to_nchw(self.absolute_pos_embed, self.grid)
        return F.interpolate(grid, tuple(hw_shape), mode='bicubic').flatten(2).transpose(1, 2)
