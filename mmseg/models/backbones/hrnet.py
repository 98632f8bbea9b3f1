"""HRNet: branches of several resolutions side by side. Source: Wang et al., TPAMI 2020 (arXiv 1908.07919).

Maps are B x C x H x W. Parameter names are the published ones.
"""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..utils import ResLayer, Upsample, resize, stages_to_freeze
from .base import Backbone
from .resnet import BasicBlock, Bottleneck


def _conv_norm(conv_cfg: dict | None, norm_cfg: dict, inputs: int, outputs: int, kernel: int, stride: int = 1) -> list:
    conv = build_conv_layer(conv_cfg, inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [conv, build_norm_layer(norm_cfg, outputs)[1]]


class HRModule(BaseModule):
    """Residual blocks on every branch, then every branch gets the sum of all: list -> list of maps, finest first.

    Args:
        num_branches: resolutions, each half of the one before.
        blocks: class of the blocks.
        num_blocks, num_channels: of each branch; blocks return ``num_channels * blocks.expansion``.
        in_channels: of the maps.
        multiscale_output: False returns the finest map only.
        with_cp, conv_cfg, norm_cfg: as for :class:`BasicBlock`.
        block_init_cfg: the blocks' init_cfg.
    """

    def __init__(
        self,
        num_branches: int,
        blocks: type,
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        multiscale_output: bool = True,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN', requires_grad=True),  # noqa: B006 (read only)
        block_init_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        given = dict(num_blocks=num_blocks, num_channels=num_channels, in_channels=in_channels)
        for name, value in given.items():
            require(
                len(value) == num_branches,
                f'HRModule: {name}={value} must have a number for each of {num_branches} branches',
            )
        layers = (conv_cfg, norm_cfg)
        shared = dict(with_cp=with_cp, conv_cfg=conv_cfg, norm_cfg=norm_cfg, init_cfg=block_init_cfg)
        self.branches = nn.ModuleList(
            ResLayer(blocks, *sizes, **shared) for sizes in zip(in_channels, num_channels, num_blocks, strict=True)
        )
        widths = [channels * blocks.expansion for channels in num_channels]
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self.make_fuse(widths, j, i, layers) for j in range(num_branches))
            for i in range((num_branches if multiscale_output else 1) if num_branches > 1 else 0)
        )

    @staticmethod
    def make_fuse(widths: Sequence[int], source: int, target: int, layers: tuple) -> nn.Module | None:
        """From one branch to another's width and size; None for a branch itself."""
        if source == target:
            return None
        if source > target:
            return nn.Sequential(
                *_conv_norm(*layers, widths[source], widths[target], 1), Upsample(2 ** (source - target))
            )
        steps = []
        for step in range(source + 1, target + 1):
            last = step == target
            steps.append(nn.Sequential(*_conv_norm(*layers, widths[source], widths[target if last else source], 3, 2)))
            if not last:
                steps[-1].append(nn.ReLU(inplace=True))
        return nn.Sequential(*steps)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        if len(maps) == 1:
            return maps
        fused = []
        for i, layers in enumerate(self.fuse_layers):
            parts = [x if layer is None else layer(x) for layer, x in zip(layers, maps, strict=True)]
            fused.append(sum(resize(part, size=maps[i].shape[-2:]) for part in parts).relu())
        return fused


@MODELS.register_module()
class HRNet(Backbone):
    """HRNet: B x 3 x H x W -> maps at strides 4, 8, 16 and 32.

    Args:
        extra: for each of ``stage1`` to ``stage4``: ``num_modules``, ``num_branches``, ``block`` ('BOTTLENECK' or
            'BASIC'), ``num_blocks`` and ``num_channels``, one a branch.
        in_channels: of the image.
        conv_cfg, norm_cfg, with_cp: as for :class:`BasicBlock`.
        norm_eval, pretrained, init_cfg: as for :class:`Backbone`.
        frozen_stages: how many of the first stages do not learn; 0 freezes the stem alone, -1 nothing.
        zero_init_residual: blocks start as the identity.
        multiscale_output: False returns the finest map only.
    """

    MAY_GO_UNUSED = r'(incre_modules|downsamp_modules|final_layer|classifier|head|fc)\.'
    BLOCKS = dict(BASIC=BasicBlock, BOTTLENECK=Bottleneck)

    def __init__(
        self,
        extra: dict,
        in_channels: int = 3,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN', requires_grad=True),  # noqa: B006 (read only)
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_stages: int = -1,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(pretrained, init_cfg, norm_eval)
        self._check(extra)
        self.layers = (conv_cfg, norm_cfg)
        self.blocks = dict(with_cp=with_cp, conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        stages = [extra[f'stage{i}'] for i in range(1, 5)]

        self.conv1, norm1 = _conv_norm(*self.layers, in_channels, 64, 3, 2)
        self.conv2, norm2 = _conv_norm(*self.layers, 64, 64, 3, 2)
        self.norm_names = [build_norm_layer(norm_cfg, 1, postfix=number)[0] for number in (1, 2)]
        for name, norm in zip(self.norm_names, (norm1, norm2), strict=True):
            self.add_module(name, norm)
        self.relu = nn.ReLU(inplace=True)
        block = self.BLOCKS[stages[0]['block']]
        self.layer1 = ResLayer(block, 64, stages[0]['num_channels'][0], stages[0]['num_blocks'][0], **self.blocks)
        widths = [stages[0]['num_channels'][0] * block.expansion]
        for number, stage in enumerate(stages[1:], start=1):
            before, block = widths, self.BLOCKS[stage['block']]
            widths = [channels * block.expansion for channels in stage['num_channels']]
            self.add_module(f'transition{number}', self.make_transition(before, widths))
            whole = multiscale_output or number < 3
            self.add_module(f'stage{number + 1}', self.make_stage(stage, block, widths, whole))
        self.out_channels = widths if multiscale_output else widths[:1]
        self._draw_weights(zero_init_residual)
        self.freeze(self.paths_to_freeze(frozen_stages))

    def _check(self, extra: dict) -> None:
        for i in range(1, 5):
            stage = extra.get(f'stage{i}')
            require(stage is not None, f'HRNet: extra has no stage{i}; it needs stage1, stage2, stage3 and stage4')
            require(
                stage['block'] in self.BLOCKS,
                f"HRNet: stage{i}: block={stage['block']!r} is not 'BASIC' or 'BOTTLENECK'",
            )
            require(
                len(stage['num_blocks']) == len(stage['num_channels']) == stage['num_branches'],
                f'HRNet: stage{i}: num_blocks={stage["num_blocks"]} and num_channels={stage["num_channels"]} must have '
                f'a number for each of {stage["num_branches"]} branches',
            )

    norm1 = property(lambda self: getattr(self, self.norm_names[0]))
    norm2 = property(lambda self: getattr(self, self.norm_names[1]))

    def make_transition(self, before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
        """From the branches before to those of the next stage, the coarser of which start from the coarsest."""
        layers = nn.ModuleList()
        for i, width in enumerate(after):
            if i < len(before):
                same = before[i] == width
                step = [] if same else [*_conv_norm(*self.layers, before[i], width, 3), nn.ReLU(inplace=True)]
                layers.append(nn.Sequential(*step) if step else None)
                continue
            steps, inputs = [], before[-1]
            for j in range(len(before), i + 1):
                outputs = width if j == i else inputs
                steps.append(nn.Sequential(*_conv_norm(*self.layers, inputs, outputs, 3, 2), nn.ReLU(inplace=True)))
            layers.append(nn.Sequential(*steps))
        return layers

    def make_stage(self, stage: dict, block: type, widths: Sequence[int], multiscale: bool) -> nn.Sequential:
        count = stage['num_modules']
        return nn.Sequential(
            *(
                HRModule(
                    *(stage['num_branches'], block, stage['num_blocks'], widths, stage['num_channels']),
                    multiscale_output=multiscale or i < count - 1,
                    **self.blocks,
                )
                for i in range(count)
            )
        )

    def _draw_weights(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
            elif isinstance(module, (BasicBlock, Bottleneck)) and zero_init_residual:
                nn.init.zeros_(module.norm(len(module.norm_names)).weight)

    def paths_to_freeze(self, frozen_stages: int) -> list[str]:
        paths = stages_to_freeze(frozen_stages, 'stem', ['layer1', 'stage2', 'stage3', 'stage4'])
        if paths:
            paths[:1] = ['conv1', self.norm_names[0], 'conv2', self.norm_names[1]]
        return paths + [f'transition{i}' for i in range(1, min(frozen_stages, 3) + 1)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        maps = [self.layer1(x)]
        for number in (1, 2, 3):
            transition = getattr(self, f'transition{number}')
            maps = [
                (maps[i] if i < len(maps) else maps[-1]) if step is None else step(maps[min(i, len(maps) - 1)])
                for i, step in enumerate(transition)
            ]
            maps = getattr(self, f'stage{number + 1}')(maps)
        return tuple(maps)
