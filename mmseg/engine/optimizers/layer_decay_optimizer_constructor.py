"""Learning rates that fall from the head towards the stem. Source: Clark et al. (arXiv 2003.10555), for networks that
were pretrained."""

import re

from mmengine.logging import print_log
from torch import nn

from mmseg.models.backbones import LRFormer, MixVisionTransformer, SwinTransformer, TIMMBackbone
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .seg_optim_wrapper_constructor import SegOptimWrapperConstructor

# How a backbone's parameters name their block: its stage, and its place there.
STAGED = r'(?P<stage>stages\.\d+)\.blocks\.\d+\.'
BLOCKS = {
    LRFormer: STAGED,
    SwinTransformer: STAGED,
    MixVisionTransformer: r'(?P<stage>layers\.\d+)\.1\.\d+\.',
    TIMMBackbone: r'(?P<stage>(?:stages?|layers?)[._]?\d+)(?:\.blocks)?\.\d+\.|blocks\.\d+\.(?:\d+\.)?',
}
UNDECAYED = ('pos_embed', 'cls_token', 'reg_token', 'relative_position_bias_table')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name=['LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor']
)
class LearningRateDecayOptimizerConstructor(SegOptimWrapperConstructor):
    """Multiplies the learning rate by ``decay_rate`` once more with each layer away from the head.

    What is not in the backbone keeps its rate, the backbone's last layer has ``decay_rate`` of it, and so on to the
    stem, which is before the first layer. What lies between blocks belongs to the one before it. Biases, norms and
    other vectors, and position embeddings have no weight decay.

    Args:
        optim_wrapper_cfg: as for :class:`SegOptimWrapperConstructor`.
        paramwise_cfg: ``decay_rate``; ``num_layers``, into which neighbouring blocks are grouped evenly (default: as
            many as there are blocks); ``decay_type``: 'layer_wise' (default), or 'stage_wise', where stages are
            the layers; beside them what :class:`SegOptimWrapperConstructor` knows.

    Raises:
        NotImplementedError: the backbone is none of LRFormer, MixVisionTransformer, SwinTransformer, TIMMBackbone.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        rules = dict(paramwise_cfg or {})
        if 'decay_rate' not in rules:
            raise KeyError('paramwise_cfg must state decay_rate, e.g. paramwise_cfg=dict(decay_rate=0.9)')
        self.decay_rate = rules.pop('decay_rate')
        self.num_layers = rules.pop('num_layers', None)
        self.decay_type = rules.pop('decay_type', 'layer_wise')
        if not 0 < self.decay_rate <= 1:
            raise ValueError(f'paramwise_cfg.decay_rate={self.decay_rate} is a factor above 0 and at most 1')
        if self.decay_type not in ('layer_wise', 'stage_wise'):
            raise ValueError(f"paramwise_cfg.decay_type={self.decay_type!r} is not 'layer_wise' or 'stage_wise'")
        super().__init__(optim_wrapper_cfg, rules)

    def _groups(self, model: nn.Module) -> list[dict]:
        self._layers = self._layers_of(model)
        self._count = max(self._layers.values())
        print_log(
            f'learning rates by {self.decay_type} decay of {self.decay_rate}: the stem of the backbone learns at '
            f'{self.decay_rate ** (self._count + 1):.3g} of the rate of the head, its last of {self._count} layers at '
            f'{self.decay_rate:.3g}',
            logger='current',
        )
        return super()._groups(model)

    def _lr_scale(self, name: str) -> float:
        layer = self._layers.get(name, self._count + 1)
        return super()._lr_scale(name) * self.decay_rate ** (self._count + 1 - layer)

    def _decay_of_kind(self, module: nn.Module, name: str, parameter: nn.Parameter) -> float:
        undecayed = parameter.ndim <= 1 or name.endswith(UNDECAYED)
        return 0.0 if undecayed else super()._decay_of_kind(module, name, parameter)

    def _layers_of(self, model: nn.Module) -> dict[str, int]:
        """The backbone's parameters -> their layers, 0 for the stem."""
        backbone = getattr(model, 'backbone', None)
        pattern = next((pattern for kind, pattern in BLOCKS.items() if isinstance(backbone, kind)), None)
        names = [name for name, _ in backbone.named_parameters()] if pattern else []
        blocks = [re.search(pattern, name) for name in names]
        if not any(blocks):
            known = ', '.join(kind.__name__ for kind in BLOCKS)
            named = f' {backbone.timm_model.__class__.__name__}' if isinstance(backbone, TIMMBackbone) else ''
            raise NotImplementedError(
                f'layer-wise decay of learning rates does not know the layers of {type(backbone).__name__}{named}; it '
                f'knows {known}. For others, paramwise_cfg.lr_mult of SegOptimWrapperConstructor gives rates by path'
            )
        found, order = {}, []
        for name, block in zip(names, blocks, strict=True):
            key = block and (block.group('stage') if self.decay_type == 'stage_wise' else block.group())
            if block and key is None:
                raise ValueError(f"decay_type='stage_wise': {type(backbone).__name__} has no stages; take 'layer_wise'")
            if block and key not in order:
                order.append(key)
            found[name] = order.index(key) + 1 if block else len(order)
        count = self.num_layers or len(order)
        if count > len(order):
            raise ValueError(f'paramwise_cfg.num_layers={count} is more than the {len(order)} layers of the backbone')
        return {f'backbone.{name}': -(-layer * count // len(order)) for name, layer in found.items()}


LayerDecayOptimizerConstructor = LearningRateDecayOptimizerConstructor
