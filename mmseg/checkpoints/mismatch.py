"""Why weights do not fit a model, and what to write instead."""

import re
from typing import NamedTuple

from torch import Tensor, nn

from .naming import plain

# Ours, and of the networks of segmentation_models_pytorch and transformers.
_CLASSIFIER = re.compile(
    r'\b(conv_seg|cls_embed|network\.(.+\.)?(segmentation_head\.\d|classifier|class_predictor))\.(weight|bias)$'
)
_CLASSIFIES_IMAGES = re.compile(r'(head|fc|classifier)(\.fc)?\.(weight|bias)$')


class Differences(NamedTuple):
    """Between the entries of a model and those of a file, by name."""

    missing: list[str]  # in the model only
    unused: list[str]  # in the file only
    mismatched: list[str]  # in both, with different shapes


def is_classifier(name: str) -> bool:
    """Whether the entry's size depends on the number of classes."""
    return _CLASSIFIER.search(name) is not None


def some(names: list[str], count: int = 4) -> str:
    return ', '.join(names[:count]) + (', ...' if len(names) > count else '')


def shapes(name: str, weights: dict[str, Tensor], own: dict) -> str:
    return f'{name} {tuple(weights[name].shape)} -> {tuple(own[name])}'


def first_convolution(own: dict) -> str | None:
    """The entry that sees the image, of a state dict or of its shapes by name."""
    return next((name for name, shape in own.items() if len(shape) == 4), None)


def reason_of_mismatch(
    model: nn.Module, given: dict[str, Tensor], weights: dict[str, Tensor], differences: Differences
) -> str | None:
    """What most likely was meant, as the rest of a sentence.

    Args:
        model: what the weights were meant for.
        given: the weights by plain name, as they came.
        weights: by the names of the model.
        differences: what does not fit.
    """
    own = {plain(name): value.shape for name, value in model.state_dict().items()}
    if not differences.missing and not differences.unused:
        if all(map(is_classifier, differences.mismatched)):
            return _other_classes(differences.mismatched[0], weights, own)
        stem = first_convolution(own)
        if stem is not None and all(name == stem or is_classifier(name) for name in differences.mismatched):
            return _other_channels(stem, weights, own)
    reason = _only_a_part(model, given, own)
    for name, module in model.named_modules():
        if reason is None and hasattr(module, 'explain_mismatch'):
            reason = module.explain_mismatch(weights, plain(f'{name}.' if name else ''))
    return reason


def _other_classes(name: str, weights: dict[str, Tensor], own: dict) -> str:
    beside = 1 if '.cls_embed.' in name or '.class_predictor.' in name else 0  # "no object" has a row too
    theirs, ours = len(weights[name]) - beside, own[name][0] - beside
    keep = 'ignore_mismatched_sizes=True to keep the rest and train a new classifier'
    if theirs == 1:
        return (
            f'the file has one score for two classes, the model {ours}: set decode_head.num_classes=2, out_channels=1 '
            f'and loss_decode.use_sigmoid=True, or {keep}'
        )
    return (
        f'the file has {theirs} classes, the model {ours}: set decode_head.num_classes to that of the file, or {keep}'
    )


def _other_channels(name: str, weights: dict[str, Tensor], own: dict) -> str | None:
    theirs, ours = tuple(weights[name].shape), tuple(own[name])
    if theirs[:1] + theirs[2:] != ours[:1] + ours[2:]:
        return None
    way = f"set the backbone's in_channels={theirs[1]}"
    if theirs[1] == 3:
        way += (
            ', or adapt_input_channels=True to repeat and rescale the weights of the 3 (at the top level of the config '
            'for load_from, inside of init_cfg for init_cfg)'
        )
    return f'the file is for images of {theirs[1]} channels, the model for {ours[1]}: {way}'


def _only_a_part(model: nn.Module, given: dict[str, Tensor], own: dict) -> str | None:
    """Says so when weights and model are a part and a whole, or two different parts."""
    is_whole = hasattr(model, 'backbone') and hasattr(model, 'decode_head')
    classifiers = [name for name in given if is_classifier(name) or _CLASSIFIES_IMAGES.search(name)]
    if len(classifiers) == len(given):
        return (
            f'the file holds only a classifier ({some(classifiers)}): load_from takes whole models, '
            'model.backbone.init_cfg backbones'
        )
    if not is_whole:
        if any(name.startswith('backbone.') for name in given):
            return (
                'the file is a whole segmentation model, this is a part of one: give it as load_from, or take a part '
                "with init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='backbone')"
            )
        is_head = any(map(is_classifier, given)) and not any(map(is_classifier, own))
        return f'the file holds only a decode head: {_belongs("decode_head")}' if is_head else None

    parts = {name: child for name, child in model.named_children() if child.state_dict()}
    there = [part for part in parts if any(name.startswith(f'{part}.') for name in given)]
    if there and not {'backbone', 'decode_head'} <= set(there):
        among_others = not all(name.startswith(f'{there[0]}.') for name in given)
        places = ' and '.join(_belongs(part, among_others) for part in there)
        return f'the file holds only a {" and a ".join(there)}: {places}'
    covered = {name: _share(child, given) for name, child in parts.items()}
    part = max(covered, key=covered.__getitem__)
    if covered[part] <= 0.5:
        return None
    if part == 'backbone' and classifiers:
        kind = f'an image classification network (a backbone and {some(classifiers)})'
    else:
        kind = f'only a {part}, under names without "{part}."'
    return f'the file holds {kind}: {_belongs(part)}'


def _share(part: nn.Module, given: dict[str, Tensor]) -> float:
    """How much of a part's entries weights hold, their names taken for the part's own."""
    weights = dict(given)
    convert_published(part, weights)
    names = [plain(name) for name in part.state_dict()]
    return sum(name in weights for name in names) / len(names)


def _belongs(part: str, among_others: bool = False) -> str:
    prefix = f", prefix='{part}'" if among_others else ''
    return f"give it as model.{part}.init_cfg=dict(type='Pretrained', checkpoint=FILE{prefix}), not as load_from"


def convert_published(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Renames published entries to the model's own, in place."""
    for name, module in model.named_modules():
        if hasattr(module, 'convert_published'):
            module.convert_published(weights, plain(f'{name}.' if name else ''))
