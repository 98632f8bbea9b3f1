"""Which metric decides, and which of two values of it is better: settled before training starts."""

import difflib
from collections.abc import Sequence

from mmengine.hooks import CheckpointHook

# By parts of the names, in small letters.
GREATER_KEYS = (*CheckpointHook._default_greater_keys, 'IoU', 'Dice', 'Fscore', 'recall')
LESS_KEYS = (*CheckpointHook._default_less_keys, 'error')


def require_metrics(runner, names: Sequence[str], argument: str) -> list[str]:
    """Check names against what validation will measure, before it does.

    Args:
        runner: the runner, with its validation loop.
        names: of metrics; 'auto' for the first that there is.
        argument: where a user wrote them, for messages.

    Returns:
        The names; 'auto' stays where the first metric is not known yet.

    Raises:
        ValueError: no validation will measure one of them; the message names those that there are.
    """
    if runner.val_loop is None:
        runner.logger.warning(f'{argument} has no effect: this run does not validate')
        return list(names)
    metrics = runner.val_loop.evaluator.metrics
    silent = [type(metric).__name__ for metric in metrics if not hasattr(metric, 'metric_names')]
    known = [name for metric in metrics for name in getattr(metric, 'metric_names', [])]
    missing = [name for name in names if name not in known and name != 'auto']
    if missing and not silent:
        near = difflib.get_close_matches(missing[0], known, n=1, cutoff=0.4)
        raise ValueError(
            f'{argument}={missing[0]!r} is no metric of this validation{f", did you mean {near[0]!r}?" if near else ""}'
            f' There are {", ".join(known) or "none"}'
        )
    if missing or ('auto' in names and metrics and not hasattr(metrics[0], 'metric_names')):
        runner.logger.warning(
            f'{argument} can only be checked at the first validation, as {", ".join(silent)} has no metric_names'
        )
        return list(names)
    if 'auto' in names and not known:
        raise ValueError(f"{argument}='auto' finds no metric in this validation")
    return [known[0] if name == 'auto' else name for name in names]


def rule_for(
    name: str,
    argument: str,
    greater_keys: Sequence[str] = GREATER_KEYS,
    less_keys: Sequence[str] = LESS_KEYS,
) -> str:
    """'greater' or 'less', as a metric's name suggests: by the whole name first, then by its parts.

    Raises:
        ValueError: it suggests neither.
    """
    lower = name.lower()
    rules = {'greater': [key.lower() for key in greater_keys], 'less': [key.lower() for key in less_keys]}
    for matches in (lower.__eq__, lower.__contains__):
        for rule, keys in rules.items():
            if any(map(matches, keys)):
                return rule
    raise ValueError(f"whether more or less of {name!r} is better cannot be told: write {argument}='greater' or 'less'")
