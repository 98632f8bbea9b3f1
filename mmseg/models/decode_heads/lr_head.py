"""The decode head of LRFormer. Source: TPAMI 2025 (arXiv 2310.05026). Maps are B x C x H x W."""

from collections.abc import Sequence
from functools import partial

from mmcv.cnn import ConvModule, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..backbones.lrformer import PYRAMID, Block
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class LRHead(BaseDecodeHead):
    """Fuses strides 8, 16 and 32 with LRSA blocks: scores at stride 8, B x classes x H/8 x W/8.

    Args:
        in_channels: channels of the three maps.
        channels: width; EncoderDecoder takes the one that belongs to the backbone's variant where a
            config leaves it out.
        num_heads, mlp_ratio, q_pooled_size: of the two fuse blocks.
        norm_cfg: norm of the squeezes and of the fuse blocks.
        others: as for :class:`BaseDecodeHead`.
    """

    IN_INDEX = (1, 2, 3)

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        num_heads: int = 8,
        mlp_ratio: int = 4,
        q_pooled_size: int = 32,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006 (read only)
        **base,
    ) -> None:
        super().__init__(in_channels, channels, norm_cfg=norm_cfg, input_transform='multiple_select', **base)
        squeeze = partial(ConvModule, kernel_size=1, conv_cfg=self.conv_cfg, norm_cfg=norm_cfg, act_cfg=self.act_cfg)
        fuse_block = partial(
            Block,
            dim=channels,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            q_pooled_size=q_pooled_size,
            norm_layer=lambda dim: build_norm_layer(norm_cfg, dim)[1],
            layer_scale=1e-6,
        )
        self.squeeze1 = squeeze(sum(in_channels), channels)
        self.fuse_block1 = fuse_block()
        self.squeeze2 = squeeze(channels + in_channels[-1], channels)
        self.fuse_block2 = fuse_block()
        self.pyramid = nn.ModuleList(nn.Identity() for _ in PYRAMID)  # no depthwise convolutions here

    @classmethod
    def follow_backbone(cls, cfg: dict, backbone: nn.Module) -> dict:
        width = getattr(backbone, 'head_channels', None)
        cfg = {**({'channels': width} if width else {}), **super().follow_backbone(cfg, backbone)}
        if 'channels' not in cfg:
            raise TypeError('LRHead: channels is missing, its width; only a named variant of LRFormer brings one')
        return cfg

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        maps = self._transform_inputs(inputs)
        x = self.squeeze1(self.resize_concat(maps))
        x = self.fuse_block1(x, self.pyramid)
        x = self.squeeze2(self.resize_concat([x, maps[-1]]))
        x = self.fuse_block2(x, self.pyramid)
        return self.cls_seg(x)
