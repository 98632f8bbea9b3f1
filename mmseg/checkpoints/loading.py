"""Loading weights into models strictly."""

import logging
import re
from collections.abc import Iterable

from mmengine.logging import print_log
from torch import Tensor, nn

from .mismatch import (
    Differences,
    convert_published,
    first_convolution,
    is_classifier,
    reason_of_mismatch,
    shapes,
    some,
)
from .naming import COUNTERS, plain, shared_prefixes
from .reading import load_checkpoint_file


def load_model_weights(
    model: nn.Module,
    state_dict: dict[str, Tensor],
    *,
    source: str,
    may_go_unused: str = r'data_preprocessor\.',
    may_be_missing: str = r'(?!)',
    ignore_mismatched_sizes: bool = False,
    adapt_input_channels: bool = False,
) -> None:
    """Loads weights into a model, all of them or none, and logs what went unused.

    Names are compared without what DDP, ``torch.compile`` and averaged models add to them, in the weights and in the
    model, and without what all weights begin with (``model.``).

    Args:
        model: the model; its modules' ``convert_published`` translate published names.
        state_dict: names and tensors.
        source: what to call the weights in messages, usually the file.
        may_go_unused: pattern of the entries that a model need not have.
        may_be_missing: pattern of the model's entries that stay as they are where the weights lack them.
        ignore_mismatched_sizes: leave the classifier as it is where the class counts differ, for
            fine-tuning on another dataset; everything else must still fit.
        adapt_input_channels: where the first convolution takes 3 channels in the file and another number in the
            model, repeat and rescale its weights, as timm does.

    Raises:
        ValueError: weights and model differ; the message names the entries and the likely reason.
    """
    model_state = model.state_dict()
    real_names = {plain(name): name for name in model_state}
    own = {name: model_state[real].shape for name, real in real_names.items()}
    optional = re.compile(f'{may_go_unused}|{COUNTERS}')
    as_given, weights = _by_own_names(model, {plain(name): v for name, v in state_dict.items()}, own, optional)
    if adapt_input_channels:
        _adapt_first_convolution(weights, own, source)

    unused = [name for name in weights if name not in own]
    excess = [name for name in unused if optional.match(name)]
    mismatched = [name for name, shape in own.items() if name in weights and weights[name].shape != shape]
    left = [name for name in mismatched if ignore_mismatched_sizes and is_classifier(name)]
    # And counters that weights from before PyTorch 0.4.1 lack, and that nothing depends on.
    may_be_missing = rf'{may_be_missing}|.*num_batches_tracked$'
    differences = Differences(
        missing=[name for name in own if name not in weights and not re.match(may_be_missing, name)],
        unused=[name for name in unused if name not in excess],
        mismatched=[name for name in mismatched if name not in left],
    )
    if any(differences):
        reason = reason_of_mismatch(model, as_given, weights, differences)
        parts = [f'{source} does not fit the model' + (f': {reason}' if reason else '')]
        listed = differences._replace(mismatched=[shapes(name, weights, own) for name in differences.mismatched])
        for label, names in zip(('in the model only', 'in the file only', 'other shape'), listed, strict=True):
            if names:
                parts.append(f'  {label} ({len(names)}): {some(names)}')
        raise ValueError('\n'.join(parts))

    fitting = {real: weights[name] for name, real in real_names.items() if name in weights and name not in left}
    model.load_state_dict(fitting, strict=False)
    print_log(f'loaded {len(fitting)} entries from {source}', logger='current')
    if excess:
        print_log(f'{source}: {len(excess)} entries were not needed: {some(excess)}', logger='current')
    if left:
        untouched = ', '.join(shapes(name, weights, own) for name in left)
        print_log(f'{source}: left at their initial values: {untouched}', logger='current', level=logging.WARNING)


def load_pretrained(
    module: nn.Module,
    checkpoint: str,
    *,
    prefix: str = '',
    may_go_unused: str = r'data_preprocessor\.',
    may_be_missing: str = r'(?!)',
    ignore_mismatched_sizes: bool = False,
    adapt_input_channels: bool = False,
) -> None:
    """Loads what ``init_cfg=dict(type='Pretrained', checkpoint=FILE, ...)`` names into a part of a model, strictly.

    Args:
        module: the part, such as a backbone.
        checkpoint: the file.
        prefix: where the part is in a file of more, such as 'backbone'.
        may_go_unused, may_be_missing, ignore_mismatched_sizes, adapt_input_channels: see :func:`load_model_weights`.
    """
    weights = load_checkpoint_file(checkpoint)['state_dict']
    if prefix:
        start = prefix.removesuffix('.') + '.'
        weights = {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
        if not weights:
            raise ValueError(f'{checkpoint}: none of its weights begins with prefix={prefix!r}')
    load_model_weights(
        module,
        weights,
        source=checkpoint,
        may_go_unused=may_go_unused,
        may_be_missing=may_be_missing,
        ignore_mismatched_sizes=ignore_mismatched_sizes,
        adapt_input_channels=adapt_input_channels,
    )


def _by_own_names(
    model: nn.Module, weights: dict[str, Tensor], own: Iterable[str], optional: re.Pattern
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights without what all their names begin with, if more of them fit then: as they came, and by our names."""
    candidates = []
    for prefix in shared_prefixes(name for name in weights if not optional.match(name)):
        given = {name.removeprefix(prefix): value for name, value in weights.items()}
        converted = dict(given)
        convert_published(model, converted)
        candidates.append((given, converted))
    return max(candidates, key=lambda candidate: sum(name in candidate[1] for name in own))


def _adapt_first_convolution(weights: dict[str, Tensor], own: dict, source: str) -> None:
    name = first_convolution(own)
    if name not in weights or weights[name].ndim != 4 or weights[name].shape == own[name]:
        return
    from timm.models import adapt_input_conv  # here, as all of timm's models come with it

    theirs, ours = weights[name].shape[1], own[name][1]
    if theirs == 3 and ours != 3:
        weights[name] = adapt_input_conv(ours, weights[name])
        print_log(f'{source}: {name} adapted from 3 input channels to {ours}', logger='current')
