"""LRFormer as timm has its networks: an image classifier that also hands out the maps of its stages.

Parameters have the backbone's names, with ``norm`` and ``head.fc`` beside them: weights that were pretrained with
timm's tools start a segmentor as they are, ``init_cfg=dict(type='Pretrained', checkpoint=FILE)``.
"""

import logging
from collections.abc import Sequence
from functools import partial

from mmengine.logging import print_log
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import ClassifierHead, LayerNorm2d, trunc_normal_
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from mmseg.checkpoints import load_checkpoint_file, load_model_weights, without_wrappers
from mmseg.checkpoints.naming import shared_prefixes
from mmseg.models.backbones import LRFormer
from mmseg.zoo import repository

__all__ = ['LRFormerClassifier']


class LRFormerClassifier(LRFormer):
    """LRFormer, a LayerNorm, average pooling and a linear classifier: B x in_chans x H x W -> B x num_classes.

    H and W may be anything from 32 up. Methods and attributes are those that timm's tools ask its networks for.

    Args:
        variant: as for :class:`~mmseg.models.backbones.LRFormer`, as are ``sizes`` (``depths``, ``with_cp``, ...).
        num_classes: 0 leaves the classifier out.
        in_chans: channels of the image.
        global_pool: timm's name of the pooling; '' leaves it out, and so the classifier must be left out.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth of the last block.
        sizes: other keys of the backbone.

    Attributes:
        num_features, head_hidden_size: channels of the last map.
        feature_info: of each stage its channels (``num_chs``), stride (``reduction``) and path (``module``).
    """

    def __init__(
        self,
        variant: str | None = None,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = 'avg',
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        **sizes,
    ) -> None:
        if 'out_indices' in sizes:
            raise TypeError(
                'LRFormerClassifier: out_indices goes with features_only=True; the classifier needs all stages'
            )
        super().__init__(variant, in_channels=in_chans, drop_path_rate=drop_path_rate, **sizes)
        self.num_classes, self.in_chans = num_classes, in_chans
        self.num_features = self.head_hidden_size = self.out_channels[-1]
        self.feature_info = [
            dict(num_chs=channels, reduction=4 * 2**i, module=f'stages.{i}')
            for i, channels in enumerate(self.out_channels)
        ]
        self.norm = LayerNorm2d(self.num_features)
        self.head = ClassifierHead(self.num_features, num_classes, pool_type=global_pool, drop_rate=drop_rate)
        self._draw_classifier()

    def _draw_classifier(self) -> None:
        if isinstance(self.head.fc, nn.Linear):
            trunc_normal_(self.head.fc.weight, std=0.02)
            nn.init.zeros_(self.head.fc.bias)

    def no_weight_decay(self) -> set[str]:
        """None by name: timm's optimizers leave out parameters of one dimension, which are all that there would be."""
        return set()

    def group_matcher(self, coarse: bool = False) -> dict:
        """Patterns that order parameters from the image on, by stage if ``coarse``, else by block."""
        stages = r'^stages\.(\d+)'
        blocks = [(rf'{stages}\.(?:embed|pyramid)', (0,)), (rf'{stages}\.blocks\.(\d+)', None), (r'^norm', (99999,))]
        return dict(stem=r'^stages\.0\.embed', blocks=stages if coarse else blocks)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        for stage in self.stages:
            stage.with_cp = enable

    def get_classifier(self) -> nn.Module:
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Puts a new classifier in place, freshly drawn; with 0 classes there is none."""
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)
        self._draw_classifier()

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = 'NCHW',
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The maps of stages, and what :meth:`forward_features` returns.

        Args:
            x: B x in_chans x H x W.
            indices: the stages; an int for the last so many, None for all.
            norm: put the last stage's map through the norm.
            stop_early: do not compute stages after the last that is asked for.
            output_fmt: 'NCHW', the one format that there is.
            intermediates_only: return the maps alone.
        """
        if output_fmt != 'NCHW':
            raise ValueError(f"output_fmt={output_fmt!r}: LRFormer's maps are 'NCHW'")
        wanted, last = feature_take_indices(len(self.stages), indices)
        maps = self.stage_maps(x, last + 1 if stop_early else None)
        final = self.norm(maps[-1]) if len(maps) == len(self.stages) else maps[-1]
        chosen = [final if norm and i == len(self.stages) - 1 else maps[i] for i in range(len(maps)) if i in wanted]
        return chosen if intermediates_only else (final, chosen)

    def get_intermediate_layers(
        self, x: Tensor, n: int | Sequence[int] = 1, reshape: bool = False, norm: bool = False
    ) -> tuple[Tensor, ...]:
        """The maps of the last ``n`` stages, or of those listed: tokens B x HW x C, or if ``reshape`` B x C x H x W."""
        maps = self.forward_intermediates(x, n, norm=norm, intermediates_only=True)
        return tuple(maps if reshape else (m.flatten(2).transpose(1, 2) for m in maps))

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Leaves out what maps of these stages do not need, and returns the stages' indices."""
        wanted, last = feature_take_indices(len(self.stages), indices)
        cut = last < len(self.stages) - 1
        self.keep_maps(last + 1)
        if cut or prune_norm:  # it is of the last stage's width
            self.norm = nn.Identity()
        if cut:
            self.num_features = self.head_hidden_size = self.out_channels[-1]
        if cut or prune_head:
            self.reset_classifier(0, '')
        return wanted

    def forward_features(self, x: Tensor) -> Tensor:
        """B x in_chans x H x W -> the last stage's map after the norm, B x num_features x H/32 x W/32."""
        return self.norm(self.stage_maps(x)[-1])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """That map -> class scores, or if ``pre_logits`` what the classifier would take, B x num_features."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def convert_published(self, state_dict: dict, prefix: str) -> None:
        for name in ('weight', 'bias'):
            if (published := f'{prefix}head.{name}') in state_dict:
                state_dict[f'{prefix}head.fc.{name}'] = state_dict.pop(published)
        super().convert_published(state_dict, prefix)

    def load_pretrained(self, file: str) -> None:
        """Loads published ImageNet weights strictly, the classifier where it is of as many classes.

        A file without the norm before the classifier is from a network that had none, and so has this one from then on.
        Weights for images of 3 channels are adapted to ``in_chans``, as timm does.

        Raises:
            ValueError: the file does not fit.
        """
        weights = {without_wrappers(name): value for name, value in load_checkpoint_file(file)['state_dict'].items()}
        prefix = shared_prefixes(weights)[-1]
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        if 'norm.weight' not in weights:
            self.norm = nn.Identity()
        rows = [len(value) for name, value in weights.items() if name in ('head.weight', 'head.fc.weight')]
        other_classes = rows != [self.num_classes]
        if other_classes:
            weights = {name: value for name, value in weights.items() if not name.startswith('head.')}
            if self.num_classes:
                theirs = f'{rows[0]} classes' if rows else 'no classifier'
                print_log(
                    f'{file} has {theirs}: the classifier of {self.num_classes} classes stays as it is',
                    logger='current',
                    level=logging.WARNING,
                )
        may_be_missing = r'head\.fc\.' if other_classes else r'(?!)'
        load_model_weights(self, weights, source=file, may_be_missing=may_be_missing, adapt_input_channels=True)


def _cfg(file: str = '', **facts) -> dict:
    return dict(
        **(dict(hf_hub_id=repository(), hf_hub_filename=file, custom_load='hf') if file else {}),
        **dict(num_classes=1000, input_size=(3, 224, 224), min_input_size=(3, 32, 32), pool_size=(7, 7)),
        **dict(crop_pct=0.9, interpolation='bicubic', mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD),
        **dict(first_conv='stages.0.embed.convs.0', classifier='head.fc', license='apache-2.0'),
        paper_ids='arXiv:2310.05026',
        paper_name='Low-Resolution Self-Attention for Semantic Segmentation',
        **facts,
    )


default_cfgs = generate_default_cfgs(
    {
        'lrformer_nano.untrained': _cfg(),
        'lrformer_tiny.in1k': _cfg('LRFormer_tiny.pth'),
        'lrformer_small.in1k': _cfg('LRFormer_small.pth'),
        'lrformer_base.in1k': _cfg('LRFormer_base.pth'),
        'lrformer_large.in1k': _cfg('LRFormer_large.pth'),
        'lrformer_large.in22k_ft_in1k': _cfg('LRFormer_large_in22k_1k.pth'),
        'lrformer_xlarge.in22k_ft_in1k': _cfg('lrformer_xl_in22k_1k_89e.pth'),
    }
)


def _create(name: str, variant: str, pretrained: bool, **options) -> LRFormerClassifier:
    return build_model_with_cfg(
        partial(LRFormerClassifier, variant),
        name,
        pretrained,
        feature_cfg=dict(out_indices=(0, 1, 2, 3), feature_cls='getter'),
        **options,
    )


@register_model
def lrformer_nano(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_nano', 'n', pretrained, **options)


@register_model
def lrformer_tiny(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_tiny', 't', pretrained, **options)


@register_model
def lrformer_small(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_small', 's', pretrained, **options)


@register_model
def lrformer_base(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_base', 'b', pretrained, **options)


@register_model
def lrformer_large(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_large', 'l', pretrained, **options)


@register_model
def lrformer_xlarge(pretrained: bool = False, **options) -> LRFormerClassifier:
    return _create('lrformer_xlarge', 'xl', pretrained, **options)
