"""Mask2Former as mmdet's configs spell it, part by part, said in :class:`Mask2FormerHead`'s own words.

mmdet builds the head of exchangeable parts. Here it is one network with sizes, so that a part may be named, but only
as the one that is published: anything else raises, and names what the published models have.
"""

from collections.abc import Callable, Mapping
from functools import wraps

RELU, GROUP_NORM = dict(type='ReLU'), dict(type='GN', num_groups=32)
KEYS = {
    'strides',
    'out_channels',
    'num_transformer_feat_level',
    'pixel_decoder',
    'enforce_decoder_input_project',
    'positional_encoding',
    'transformer_decoder',
    'loss_cls',
    'loss_mask',
    'loss_dice',
    'train_cfg',
}


def accepts_mmdet(init: Callable) -> Callable:
    """Lets the head's constructor take mmdet's arguments in place of its own."""

    @wraps(init)
    def translated(self, *args, **kwargs) -> None:
        init(self, *args, **(from_mmdet(kwargs) if KEYS & set(kwargs) else kwargs))

    return translated


class Part:
    """A dict of mmdet's config whose every key is asked for, with the values that it may have."""

    def __init__(self, cfg: Mapping | None, name: str) -> None:
        self.left, self.name = dict(cfg or {}), name

    def __enter__(self):
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None and self.left:
            raise TypeError(f'Mask2FormerHead: {self.name} has an unknown key {next(iter(self.left))!r}')

    def value(self, key: str, default):
        return self.left.pop(key, default)

    def only(self, **published) -> None:
        """Checks keys that may be left out, but must otherwise have the published value."""
        for key, value in published.items():
            given = self.left.pop(key, value)
            if isinstance(value, dict):  # layers: ``inplace`` and ``requires_grad`` change no number
                given = {k: v for k, v in given.items() if k in value}
            if given != value:
                raise TypeError(f'Mask2FormerHead: {self.name}.{key}={given!r} is not here; the published is {value!r}')

    def type(self, *names: str) -> None:
        given = str(self.left.pop('type', names[0])).removeprefix('mmdet.')
        if given not in names:
            raise TypeError(f'Mask2FormerHead: {self.name} of type {given!r} is not here; {names[0]} is')

    def part(self, key: str) -> 'Part':
        return Part(self.left.pop(key, None), f'{self.name}.{key}' if self.name else key)


def from_mmdet(kwargs: dict) -> dict:
    """The constructor's arguments from mmdet's."""
    head = Part({key: value for key, value in kwargs.items() if key in KEYS}, '')
    ours = {key: value for key, value in kwargs.items() if key not in KEYS}
    width = ours.get('feat_channels', 256)
    levels = head.value('num_transformer_feat_level', 3)
    head.value('strides', None)
    head.only(out_channels=width, enforce_decoder_input_project=False)
    with head.part('positional_encoding') as part:
        _position(part, width)
    with head.part('pixel_decoder') as part:
        sizes = _pixel_decoder(part, width, levels)
    with head.part('transformer_decoder') as part:
        sizes |= _decoder(part, width, sizes['num_heads'])
    return ours | sizes | dict(num_levels=levels, loss_decode=_loss(head, ours))


def _position(part: Part, width: int) -> None:
    part.type('SinePositionalEncoding')
    part.only(num_feats=width // 2, normalize=True)


def _pixel_decoder(decoder: Part, width: int, levels: int) -> dict:
    decoder.type('MSDeformAttnPixelDecoder')
    decoder.only(num_outs=levels, norm_cfg=GROUP_NORM, act_cfg=RELU, init_cfg=None)
    with decoder.part('positional_encoding') as part:
        _position(part, width)
    with decoder.part('encoder') as encoder:
        _reject_old(encoder)
        encoder.only(init_cfg=None)
        layers = encoder.value('num_layers', 6)
        with encoder.part('layer_cfg') as layer:
            with layer.part('self_attn_cfg') as attention:
                attention.only(embed_dims=width, num_levels=levels, dropout=0.0, batch_first=True)
                attention.only(norm_cfg=None, init_cfg=None)
                attention.value('im2col_step', None)  # of a compiled operator
                heads, points = attention.value('num_heads', 8), attention.value('num_points', 4)
            hidden = _ffn(layer, width, 1024)
    return dict(num_encoder_layers=layers, num_heads=heads, num_points=points, encoder_ffn_channels=hidden)


def _decoder(decoder: Part, width: int, heads: int) -> dict:
    _reject_old(decoder)
    decoder.only(return_intermediate=True, init_cfg=None)
    layers = decoder.value('num_layers', 9)
    with decoder.part('layer_cfg') as layer:
        for name in ('self_attn_cfg', 'cross_attn_cfg'):
            with layer.part(name) as attention:
                attention.only(embed_dims=width, num_heads=heads, attn_drop=0.0, proj_drop=0.0)
                attention.only(dropout_layer=None, batch_first=True)
        hidden = _ffn(layer, width, 2048)
    return dict(num_decoder_layers=layers, decoder_ffn_channels=hidden)


def _ffn(layer: Part, width: int, hidden: int) -> int:
    with layer.part('ffn_cfg') as ffn:
        ffn.only(embed_dims=width, num_fcs=2, ffn_drop=0.0, act_cfg=RELU, dropout_layer=None, add_identity=True)
        return ffn.value('feedforward_channels', hidden)


def _reject_old(part: Part) -> None:
    for old in {'transformerlayers', 'type'} & set(part.left):
        raise TypeError(
            f'Mask2FormerHead: {part.name}.{old} is of mmdet 2; write {part.name}=dict(num_layers=..., '
            'layer_cfg=dict(self_attn_cfg=dict(...), ffn_cfg=dict(...))), as mmdet 3 does'
        )


def _loss(head: Part, ours: dict) -> dict:
    classes = ours.get('num_classes', 0)
    with head.part('loss_cls') as part:
        part.type('CrossEntropyLoss')
        part.only(use_sigmoid=False, reduction='mean')
        class_weight = part.value('loss_weight', 2.0)
        *of_classes, no_object = part.value('class_weight', [1.0] * classes + [0.1])
        if of_classes != [1.0] * classes:
            raise TypeError(
                f'Mask2FormerHead: loss_cls.class_weight must be 1 for each of {classes} classes and, last, the '
                'weight of "no object"'
            )
    with head.part('loss_mask') as part:
        part.type('CrossEntropyLoss')
        part.only(use_sigmoid=True, reduction='mean')
        mask_weight = part.value('loss_weight', 5.0)
    with head.part('loss_dice') as part:
        part.type('DiceLoss')
        part.only(use_sigmoid=True, activate=True, reduction='mean', naive_dice=True, eps=1.0)
        dice_weight = part.value('loss_weight', 5.0)
    with head.part('train_cfg') as part:
        points = {
            key: part.value(key, default)
            for key, default in dict(num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75).items()
        }
        with part.part('sampler') as sampler:
            sampler.type('MaskPseudoSampler')
        with part.part('assigner') as assigner:
            assigner.type('HungarianAssigner')
            _costs(assigner, (class_weight, mask_weight, dice_weight))
    weights = dict(class_weight=class_weight, mask_weight=mask_weight, dice_weight=dice_weight)
    return dict(type='Mask2FormerLoss', **weights, no_object_weight=no_object, **points)


def _costs(assigner: Part, weights: tuple[float, float, float]) -> None:
    fixed = (
        ('ClassificationCost', {}),
        ('CrossEntropyLossCost', dict(use_sigmoid=True)),
        ('DiceCost', dict(pred_act=True, eps=1.0)),
    )
    costs = assigner.value('match_costs', [{}, {}, {}])
    for i, (cost, (name, values), weight) in enumerate(zip(costs, fixed, weights, strict=True)):
        with Part(cost, f'{assigner.name}.match_costs[{i}]') as part:
            part.type(name)
            part.only(weight=weight, **values)  # one weight for a loss and its cost
