"""Patches of a map as tokens: mmcv's modules, at the place and with the defaults that mmsegmentation has."""

import warnings

with warnings.catch_warnings():  # it asks for a compiled operator, which is not needed
    warnings.filterwarnings('ignore', message='Fail to import')
    from mmcv.cnn.bricks import transformer as _mmcv

AdaptivePadding, PatchMerging, FFN = _mmcv.AdaptivePadding, _mmcv.PatchMerging, _mmcv.FFN


class PatchEmbed(_mmcv.PatchEmbed):
    """A convolution and a norm, B x C x H x W -> (B x hw x embed_dims, (h, w)); ``stride`` is by default the patch."""

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        conv_type: str | None = 'Conv2d',
        kernel_size: int | tuple[int, int] = 16,
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | str = 'corner',
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        norm_cfg: dict | None = None,
        input_size: int | tuple[int, int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            *(in_channels, embed_dims, conv_type or 'Conv2d', kernel_size, stride, padding, dilation, bias),
            *(norm_cfg, input_size, init_cfg),
        )
