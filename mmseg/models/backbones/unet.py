"""UNet. Source: Ronneberger et al., MICCAI 2015 (arXiv 1505.04597). Maps are B x C x H x W.

Parameter names are the published ones.
"""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import Upsample, recompute
from .base import Backbone


class BasicConvBlock(nn.Module):
    """``num_convs`` 3x3 convolutions, the first with ``stride``, all others with ``dilation``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_convs: int = 2,
        stride: int = 1,
        dilation: int = 1,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),  # noqa: B006 (read only)
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        dcn: None = None,
        plugins: None = None,
    ) -> None:
        super().__init__()
        require(dcn is None and plugins is None, 'BasicConvBlock: dcn and plugins are not supported')
        self.with_cp = with_cp
        layers = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.convs = nn.Sequential(
            *(
                ConvModule(
                    *(out_channels if i else in_channels, out_channels, 3),
                    **dict(stride=1 if i else stride, dilation=dilation if i else 1, padding=dilation if i else 1),
                    **layers,
                )
                for i in range(num_convs)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return recompute(self.convs, x, when=self.with_cp)


@MODELS.register_module()
class InterpConv(nn.Module):
    """Twice the size by interpolation, and a convolution behind it, or before it with ``conv_first``.

    Args:
        in_channels, out_channels: channels.
        with_cp: recompute activations in the backward pass.
        norm_cfg, act_cfg, conv_cfg: layers, as for mmcv's ConvModule.
        conv_first: convolve at the small size.
        kernel_size, stride, padding: of the convolution.
        upsample_cfg: ``scale_factor``, ``mode`` and ``align_corners`` of the interpolation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        with_cp: bool = False,
        norm_cfg: dict | None = dict(type='BN'),  # noqa: B006 (read only)
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        *,
        conv_cfg: dict | None = None,
        conv_first: bool = False,
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        upsample_cfg: dict = dict(scale_factor=2, mode='bilinear', align_corners=False),  # noqa: B006 (read only)
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        layers = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        conv = ConvModule(in_channels, out_channels, kernel_size, stride, padding, **layers)
        upsample = Upsample(**upsample_cfg)
        self.interp_upsample = nn.Sequential(*((conv, upsample) if conv_first else (upsample, conv)))

    def forward(self, x: Tensor) -> Tensor:
        return recompute(self.interp_upsample, x, when=self.with_cp)


@MODELS.register_module()
class DeconvModule(nn.Module):
    """``scale_factor`` times the size by a transposed convolution, norm and activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        with_cp: bool = False,
        norm_cfg: dict | None = dict(type='BN'),  # noqa: B006 (read only)
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        *,
        kernel_size: int = 4,
        scale_factor: int = 2,
    ) -> None:
        super().__init__()
        require(
            kernel_size >= scale_factor and (kernel_size - scale_factor) % 2 == 0,
            f'DeconvModule: kernel_size={kernel_size} must be scale_factor={scale_factor} plus an even number',
        )
        self.with_cp = with_cp
        padding = (kernel_size - scale_factor) // 2
        self.deconv_upsamping = nn.Sequential(  # the published spelling
            nn.ConvTranspose2d(in_channels, out_channels, kernel_size, scale_factor, padding),
            build_norm_layer(norm_cfg, out_channels)[1],
            build_activation_layer(act_cfg),
        )

    def forward(self, x: Tensor) -> Tensor:
        return recompute(self.deconv_upsamping, x, when=self.with_cp)


class UpConvBlock(nn.Module):
    """The coarser map, upsampled, joins the finer one, and both are convolved.

    Args:
        conv_block: class of the convolutions.
        in_channels, skip_channels, out_channels: of the coarser map, the finer one, and what is returned.
        num_convs, stride, dilation, with_cp, conv_cfg, norm_cfg, act_cfg: as for :class:`BasicConvBlock`.
        upsample_cfg: ``dict(type='InterpConv')`` or ``dict(type='DeconvModule')``; None for maps of one size.
    """

    def __init__(
        self,
        conv_block: type,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        num_convs: int = 2,
        stride: int = 1,
        dilation: int = 1,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),  # noqa: B006 (read only)
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        upsample_cfg: dict | None = dict(type='InterpConv'),  # noqa: B006 (read only)
        dcn: None = None,
        plugins: None = None,
    ) -> None:
        super().__init__()
        require(dcn is None and plugins is None, 'UpConvBlock: dcn and plugins are not supported')
        layers = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv_block = conv_block(
            *(2 * skip_channels, out_channels, num_convs, stride, dilation, with_cp, conv_cfg), **layers
        )
        if upsample_cfg is None:
            self.upsample = ConvModule(in_channels, skip_channels, 1, conv_cfg=conv_cfg, **layers)
        else:
            self.upsample = MODELS.build(
                dict(upsample_cfg, in_channels=in_channels, out_channels=skip_channels, with_cp=with_cp, **layers)
            )

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        return self.conv_block(torch.cat([skip, self.upsample(x)], dim=1))


@MODELS.register_module()
class UNet(Backbone):
    """UNet: B x C x H x W -> a map for each stage of the decoder, coarsest first, the last at the input's size.

    Args:
        in_channels, base_channels: of the image, and of the first stage; each stage doubles it.
        num_stages: of the encoder.
        strides, enc_num_convs, enc_dilations: of each stage of the encoder.
        dec_num_convs, dec_dilations: of each stage of the decoder, one less.
        downsamples: whether stages after the first halve the size.
        with_cp: recompute activations in the backward pass.
        conv_cfg, norm_cfg, act_cfg: layers, as for mmcv's ConvModule.
        upsample_cfg: as for :class:`UpConvBlock`.
        norm_eval, pretrained, init_cfg: as for :class:`Backbone`.
        dcn, plugins: keys of published configs; only None is possible.
    """

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 5,
        strides: Sequence[int] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[int] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[int] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[int] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),  # noqa: B006 (read only)
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006 (read only)
        upsample_cfg: dict = dict(type='InterpConv'),  # noqa: B006 (read only)
        norm_eval: bool = False,
        dcn: None = None,
        plugins: None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, init_cfg, norm_eval=norm_eval)
        require(dcn is None and plugins is None, 'UNet: dcn and plugins are not supported')
        encoder = dict(strides=strides, enc_num_convs=enc_num_convs, enc_dilations=enc_dilations)
        decoder = dict(dec_num_convs=dec_num_convs, downsamples=downsamples, dec_dilations=dec_dilations)
        for count, group in ((num_stages, encoder), (num_stages - 1, decoder)):
            for name, value in group.items():
                require(len(value) == count, f'UNet: {name}={value} must have {count} numbers for {num_stages} stages')
        layers = dict(with_cp=with_cp, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        widths = [base_channels * 2**i for i in range(num_stages)]
        halved = [stride != 1 or down for stride, down in zip(strides[1:], downsamples, strict=True)]
        self.divisor = 2 ** sum(halved)
        self.out_channels = widths[::-1]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(widths):
            pool = [nn.MaxPool2d(2)] if i and downsamples[i - 1] and strides[i] == 1 else []
            block = BasicConvBlock(
                *(widths[i - 1] if i else in_channels, width, enc_num_convs[i], strides[i], enc_dilations[i]), **layers
            )
            self.encoder.append(nn.Sequential(*pool, block))
            if i:
                self.decoder.append(
                    UpConvBlock(
                        *(BasicConvBlock, width, widths[i - 1], widths[i - 1], dec_num_convs[i - 1]),
                        **dict(dilation=dec_dilations[i - 1], upsample_cfg=upsample_cfg if halved[i - 1] else None),
                        **layers,
                    )
                )

    def forward(self, x: Tensor) -> list[Tensor]:
        H, W = x.shape[-2:]
        require(
            H % self.divisor == 0 and W % self.divisor == 0,
            f'UNet: an input of {H}x{W} pixels; both sides must be multiples of {self.divisor}: set size_divisor='
            f'{self.divisor} in the data_preprocessor, and in its test_cfg',
        )
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        maps = [x]
        for skip, stage in zip(skips[-2::-1], reversed(self.decoder), strict=True):
            x = stage(skip, x)
            maps.append(x)
        return maps
