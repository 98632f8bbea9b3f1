"""Loading weights into models strictly."""

import logging
import re
from typing import NamedTuple

from mmengine.logging import print_log
from torch import Tensor, nn


class _Differences(NamedTuple):
    missing: list[str]  # in the model only
    unused: list[str]  # in the file only
    mismatched: list[str]  # in both, with different shapes


def load_model_weights(
    model: nn.Module,
    state_dict: dict[str, Tensor],
    *,
    source: str,
    may_go_unused: str = r'data_preprocessor\.',
    ignore_mismatched_sizes: bool = False,
) -> None:
    """Loads weights into a model, all of them or none, and logs what went unused.

    Args:
        model: the model; its modules' ``convert_published`` translate published names.
        state_dict: names and tensors.
        source: what to call the weights in messages, usually the file.
        may_go_unused: pattern of the entries that a model need not have.
        ignore_mismatched_sizes: leave the classifier as it is where the class counts differ, for
            fine-tuning on another dataset; everything else must still fit.

    Raises:
        ValueError: weights and model differ; the message names the entries and the likely reason.
    """
    weights = dict(state_dict)
    _convert_published(model, weights)
    own = {name: value.shape for name, value in model.state_dict().items()}
    unused = [name for name in weights if name not in own]
    excess = [name for name in unused if re.match(may_go_unused, name)]
    mismatched = [name for name, shape in own.items() if name in weights and weights[name].shape != shape]
    left = [name for name in mismatched if ignore_mismatched_sizes and _is_classifier(name)]
    differences = _Differences(
        # Counters that weights from before PyTorch 0.4.1 lack, and that nothing depends on.
        missing=[name for name in own if name not in weights and not name.endswith('num_batches_tracked')],
        unused=[name for name in unused if name not in excess],
        mismatched=[
            f'{name} {tuple(weights[name].shape)} -> {tuple(own[name])}' for name in mismatched if name not in left
        ],
    )
    if any(differences):
        raise ValueError(_explain(model, weights, differences, mismatched, source))

    fitting = {name: value for name, value in weights.items() if name in own and name not in left}
    model.load_state_dict(fitting, strict=False)
    print_log(f'loaded {len(fitting)} entries from {source}', logger='current')
    if excess:
        print_log(f'{source}: {len(excess)} entries were not needed: {_some(excess)}', logger='current')
    if left:
        shapes = ', '.join(f'{name} {tuple(weights[name].shape)} -> {tuple(own[name])}' for name in left)
        print_log(f'{source}: left at their initial values: {shapes}', logger='current', level=logging.WARNING)


def _convert_published(model: nn.Module, weights: dict) -> None:
    for name, module in model.named_modules():
        if hasattr(module, 'convert_published'):
            module.convert_published(weights, f'{name}.' if name else '')


def _is_classifier(name: str) -> bool:
    return re.search(r'\b(conv_seg|cls_embed)\.(weight|bias)$', name) is not None


def _explain(model: nn.Module, weights: dict, differences: _Differences, mismatched: list[str], source: str) -> str:
    reason = None
    if mismatched and all(map(_is_classifier, mismatched)) and not differences.missing and not differences.unused:
        name = mismatched[0]
        beside = 1 if '.cls_embed.' in name else 0  # "no object" has a row too
        theirs, ours = len(weights[name]) - beside, len(model.state_dict()[name]) - beside
        reason = (
            f'the file has {theirs} classes, the model {ours}: set '
            'decode_head.num_classes to that of the file, or '
            'ignore_mismatched_sizes=True to keep the rest and train a new classifier'
        )
    elif any(name.startswith('decode_head.') for name in differences.unused) and not hasattr(model, 'decode_head'):
        reason = 'the file is a whole segmentation model, this is a backbone: give it as load_from, not in init_cfg'
    else:
        for name, module in model.named_modules():
            if reason is None and hasattr(module, 'explain_mismatch'):
                reason = module.explain_mismatch(weights, f'{name}.' if name else '')
    parts = [f'{source} does not fit the model' + (f': {reason}' if reason else '')]
    for label, names in zip(('in the model only', 'in the file only', 'other shape'), differences, strict=True):
        if names:
            parts.append(f'  {label} ({len(names)}): {_some(names)}')
    return '\n'.join(parts)


def _some(names: list[str], count: int = 4) -> str:
    return ', '.join(names[:count]) + (', ...' if len(names) > count else '')
