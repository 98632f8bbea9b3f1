"""ResNet and its dilated and deep-stemmed relatives. Maps are B x C x H x W.

Sources: He et al., "Deep Residual Learning", CVPR 2016 (arXiv 1512.03385); He et al., "Bag of Tricks", CVPR 2019
(arXiv 1812.01187), for the variants C and D. Parameter names are the published ones.
"""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..layers import build_deform_conv
from ..utils import ResLayer, recompute, stages_to_freeze
from .base import StagedBackbone


class _Block(BaseModule):
    """relu(f(x) + shortcut(x)), B x inplanes x H x W -> B x planes * expansion x H/stride x W/stride."""

    expansion: int

    def __init__(self, downsample: nn.Module | None, stride: int, dilation: int, with_cp: bool, init_cfg) -> None:
        super().__init__(init_cfg)
        self.downsample, self.stride, self.dilation, self.with_cp = downsample, stride, dilation, with_cp
        self.relu = nn.ReLU(inplace=True)
        self.norm_names = []

    def add_norm(self, norm_cfg: dict, channels: int, number: int) -> None:
        name, norm = build_norm_layer(norm_cfg, channels, postfix=number)
        self.add_module(name, norm)
        self.norm_names.append(name)

    def norm(self, number: int) -> nn.Module:
        return getattr(self, self.norm_names[number - 1])

    norm1 = property(lambda self: self.norm(1))
    norm2 = property(lambda self: self.norm(2))

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _add(self, x: Tensor) -> Tensor:
        return self.residual(x) + (x if self.downsample is None else self.downsample(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(recompute(self._add, x, when=self.with_cp))


class BasicBlock(_Block):
    """Two 3x3 convolutions.

    Args:
        inplanes, planes: channels in, and out.
        stride, dilation: of the first convolution.
        downsample: the shortcut; None for the identity.
        style: for :class:`Bottleneck`, where it matters.
        with_cp: recompute activations in the backward pass.
        conv_cfg, norm_cfg: layers, as for mmcv's builders.
        dcn, plugins: for :class:`Bottleneck`; None here.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = 'pytorch',
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006 (read only)
        dcn: dict | None = None,
        plugins: Sequence[dict] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(downsample, stride, dilation, with_cp, init_cfg)
        require(dcn is None, 'BasicBlock: dcn is for Bottleneck (depth 50 and up)')
        require(plugins is None, 'BasicBlock: plugins are for Bottleneck (depth 50 and up)')
        self.conv1 = build_conv_layer(
            conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.add_norm(norm_cfg, planes, 1)
        self.conv2 = build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False)
        self.add_norm(norm_cfg, planes, 2)

    def residual(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))


class Bottleneck(_Block):
    """A 3x3 convolution between two 1x1 convolutions.

    Args:
        inplanes, planes: channels in, and of the 3x3 convolution; ``4 * planes`` come out.
        stride: of the 3x3 convolution ('pytorch') or the first 1x1 ('caffe').
        dilation: of the 3x3 convolution.
        downsample: the shortcut; None for the identity.
        style: 'pytorch' or 'caffe'.
        with_cp: recompute activations in the backward pass.
        conv_cfg, norm_cfg: layers, as for mmcv's builders.
        dcn: a deformable 3x3 convolution, ``dict(type='DCN' or 'DCNv2', deform_groups=1)``.
        plugins: mmcv's plugin layers, ``dict(cfg=dict(type=...), position='after_conv1', 2 or 3)``.
        width, groups: channels and groups of the 3x3 convolution (ResNeXt); ``planes`` and 1 by default.
    """

    expansion = 4
    POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = 'pytorch',
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006 (read only)
        dcn: dict | None = None,
        plugins: Sequence[dict] | None = None,
        init_cfg: dict | None = None,
        *,
        width: int | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__(downsample, stride, dilation, with_cp, init_cfg)
        name = type(self).__name__
        require(style in ('pytorch', 'caffe'), f"{name}: style={style!r} is not 'pytorch' or 'caffe'")
        require(dcn is None or conv_cfg is None, f'{name}: dcn and conv_cfg exclude each other')
        for plugin in plugins or ():
            require(
                plugin['position'] in self.POSITIONS,
                f'{name}: plugin position {plugin["position"]!r} is none of {", ".join(self.POSITIONS)}',
            )
        self.inplanes, self.planes, self.style = inplanes, planes, style
        width = width or planes
        stride1, stride2 = (1, stride) if style == 'pytorch' else (stride, 1)
        geometry = dict(stride=stride2, padding=dilation, dilation=dilation, groups=groups, bias=False)
        self.conv1 = build_conv_layer(conv_cfg, inplanes, width, 1, stride=stride1, bias=False)
        self.add_norm(norm_cfg, width, 1)
        dcn = dict(dcn or {})
        if dcn and not (dcn.pop('fallback_on_stride', False) and stride > 1):
            self.conv2 = build_deform_conv(dcn, width, width, 3, **geometry)
        else:
            self.conv2 = build_conv_layer(conv_cfg, width, width, 3, **geometry)
        self.add_norm(norm_cfg, width, 2)
        self.conv3 = build_conv_layer(conv_cfg, width, planes * self.expansion, 1, bias=False)
        self.add_norm(norm_cfg, planes * self.expansion, 3)
        self.plugin_names = [
            [self.add_plugin(plugin['cfg'], channels) for plugin in plugins or () if plugin['position'] == position]
            for position, channels in zip(self.POSITIONS, (width, width, planes * self.expansion), strict=True)
        ]

    norm3 = property(lambda self: self.norm(3))

    def add_plugin(self, cfg: dict, channels: int) -> str:
        cfg = dict(cfg)
        postfix = cfg.pop('postfix', '')
        name, layer = build_plugin_layer(cfg, postfix, in_channels=channels)
        require(not hasattr(self, name), f'Bottleneck: two plugins are called {name}; give each a postfix')
        self.add_module(name, layer)
        return name

    def plug(self, x: Tensor, position: int) -> Tensor:
        for name in self.plugin_names[position - 1]:
            x = getattr(self, name)(x)
        return x

    def residual(self, x: Tensor) -> Tensor:
        x = self.plug(self.relu(self.norm1(self.conv1(x))), 1)
        x = self.plug(self.relu(self.norm2(self.conv2(x))), 2)
        return self.plug(self.norm3(self.conv3(x)), 3)


@MODELS.register_module()
class ResNet(StagedBackbone):
    """ResNet: B x 3 x H x W -> a map for each of ``out_indices``, at strides 4, 8, 16, 32 unless dilated.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels, stem_channels, base_channels: of the image, the stem, and the first stage's blocks.
        num_stages: 1 to 4.
        strides, dilations: of each stage.
        out_indices: the stages whose maps are returned; those behind the last of them are not built.
        style, conv_cfg, norm_cfg, dcn, with_cp: as for :class:`Bottleneck`.
        deep_stem: three 3x3 convolutions in place of one of 7x7.
        avg_down: shortcuts halve by average pooling.
        frozen_stages: how many of the first stages do not learn; 0 freezes the stem alone, -1 nothing.
        norm_eval, pretrained, init_cfg: as for :class:`Backbone`.
        stage_with_dcn: the stages that ``dcn`` is for.
        plugins: as for :class:`Bottleneck`, each with ``stages``, a flag for each stage, besides.
        multi_grid: dilations of the last stage's blocks.
        contract_dilation: a dilated stage's first block has half its dilation.
        zero_init_residual: blocks start as the identity.

    Raises:
        KeyError: an unknown depth.
        ArgumentError: what does not go together.
    """

    arch_settings = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN', requires_grad=True),  # noqa: B006 (read only)
        norm_eval: bool = False,
        dcn: dict | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[dict] | None = None,
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, init_cfg, norm_eval)
        name = type(self).__name__
        if depth not in self.arch_settings:
            raise KeyError(f'{name}: depth={depth} is none of {", ".join(map(str, self.arch_settings))}')
        require(1 <= num_stages <= 4, f'{name}: num_stages={num_stages} is not 1 to 4')
        require(
            len(strides) == len(dilations) == num_stages,
            f'{name}: strides={strides} and dilations={dilations} must have a number for each of {num_stages} stages',
        )
        require(max(out_indices) < num_stages, f'{name}: out_indices={out_indices} of {num_stages} stages')
        require(
            dcn is None or len(stage_with_dcn) == num_stages,
            f'{name}: stage_with_dcn={stage_with_dcn} must have a flag for each of {num_stages} stages',
        )
        block, depths = self.arch_settings[depth]
        self.depth, self.block = depth, block
        self.num_stages, self.out_indices = num_stages, tuple(out_indices)
        self.out_channels = [base_channels * 2**i * block.expansion for i in self.out_indices]

        self._make_stem(in_channels, stem_channels, deep_stem, conv_cfg, norm_cfg)
        shared = dict(style=style, with_cp=with_cp, conv_cfg=conv_cfg, norm_cfg=norm_cfg, avg_down=avg_down)
        inplanes = stem_channels
        self.res_layers = [f'layer{i + 1}' for i in range(num_stages)]
        for i, layer in enumerate(self.res_layers):
            planes = base_channels * 2**i
            stage = self.make_res_layer(
                block=block,
                inplanes=inplanes,
                planes=planes,
                num_blocks=depths[i],
                stride=strides[i],
                dilation=dilations[i],
                dcn=dcn if stage_with_dcn[i] else None,
                plugins=None if plugins is None else self.plugins_of_stage(plugins, i, num_stages),
                multi_grid=multi_grid if i == len(depths) - 1 else None,
                contract_dilation=contract_dilation,
                **shared,
            )
            self.add_module(layer, stage)
            inplanes = planes * block.expansion
        self._draw_weights(zero_init_residual)
        self.freeze(self.paths_to_freeze(frozen_stages))
        self.drop_unread()

    def _make_stem(self, in_channels: int, channels: int, deep: bool, conv_cfg, norm_cfg: dict) -> None:
        self.deep_stem = deep
        if deep:
            half, layers = channels // 2, []
            for inputs, outputs, stride in ((in_channels, half, 2), (half, half, 1), (half, channels, 1)):
                conv = build_conv_layer(conv_cfg, inputs, outputs, 3, stride=stride, padding=1, bias=False)
                layers += [conv, build_norm_layer(norm_cfg, outputs)[1], nn.ReLU(inplace=True)]
            self.stem = nn.Sequential(*layers)
        else:
            self.conv1 = build_conv_layer(conv_cfg, in_channels, channels, 7, stride=2, padding=3, bias=False)
            self.norm1_name, norm = build_norm_layer(norm_cfg, channels, postfix=1)
            self.add_module(self.norm1_name, norm)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)

    norm1 = property(lambda self: getattr(self, self.norm1_name))

    def make_res_layer(self, **kwargs) -> ResLayer:
        return ResLayer(**kwargs)

    @staticmethod
    def plugins_of_stage(plugins: Sequence[dict], stage: int, num_stages: int) -> list[dict]:
        """The plugins that a stage has."""
        for plugin in plugins:
            stages = plugin.get('stages')
            require(
                stages is None or len(stages) == num_stages,
                f'ResNet: plugin stages={stages} must have a flag for each of {num_stages} stages',
            )
        return [plugin for plugin in plugins if plugin.get('stages') is None or plugin['stages'][stage]]

    def _draw_weights(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if type(module) is nn.Conv2d:
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
            elif isinstance(module, _Block) and zero_init_residual:
                nn.init.zeros_(module.norm(len(module.norm_names)).weight)

    def stage_parts(self, stage: int) -> list[str]:
        return [self.res_layers[stage]]

    def paths_to_freeze(self, frozen_stages: int) -> list[str]:
        paths = stages_to_freeze(frozen_stages, 'stem', self.res_layers)
        if paths and not self.deep_stem:
            paths[:1] = ['conv1', self.norm1_name]
        return paths

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        maps = []
        for name in self.res_layers[: max(self.out_indices) + 1]:
            x = getattr(self, name)(x)
            maps.append(x)
        return tuple(maps[i] for i in self.out_indices)


@MODELS.register_module()
class ResNetV1c(ResNet):
    """ResNet with a deep stem; arguments as for :class:`ResNet`."""

    def __init__(self, depth: int, **kwargs) -> None:
        super().__init__(depth, deep_stem=True, avg_down=False, **kwargs)


@MODELS.register_module()
class ResNetV1d(ResNet):
    """ResNet with a deep stem and shortcuts that pool; arguments as for :class:`ResNet`."""

    def __init__(self, depth: int, **kwargs) -> None:
        super().__init__(depth, deep_stem=True, avg_down=True, **kwargs)
