"""Parts of a model that training leaves as they are: parameters, running statistics, and dropout off.

A module that has such parts freezes them when it is built, and again in its ``train``, which would wake them::

    def train(self, mode=True):
        super().train(mode)
        freeze_parts(self, self.frozen)
        return self
"""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn


def freeze_parts(model: nn.Module, paths: Sequence[str]) -> None:
    """Freezes the parts of a model at ``paths``, with all that is below them.

    Args:
        model: the model.
        paths: of modules or parameters, as in ``named_modules``: 'backbone.stages.0'. ``*`` stands for anything:
            'backbone.stages.*.embed'.

    Raises:
        TypeError: ``paths`` are none.
        ValueError: for a path that names nothing, with those that are near.
    """
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, str) for path in paths):
        raise TypeError(
            f"{type(model).__name__}: freeze={paths!r} must be a path or a list of them, such as ['backbone.stages.0']"
        )
    parts = {**dict(model.named_modules()), **dict(model.named_parameters())} if paths else {}
    for path in paths:
        found = [part for name, part in parts.items() if name and fnmatchcase(name, path)]
        if not found:
            raise ValueError(f'{type(model).__name__}: no part to freeze at {path!r}; {_near(list(parts), path)}')
        for part in found:
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()


def stages_to_freeze(frozen_stages: int, embedding: str, stages: Sequence[str]) -> list[str]:
    """The paths that a backbone's ``frozen_stages`` stands for: its embedding and the first N stages.

    Args:
        frozen_stages: N; 0 is the embedding alone, -1 nothing.
        embedding, stages: the paths of the backbone's embedding (stem) and of its stages in order.
    """
    is_count = isinstance(frozen_stages, int) and not isinstance(frozen_stages, bool)
    if not is_count or not -1 <= frozen_stages <= len(stages):
        raise ValueError(
            f'frozen_stages={frozen_stages!r}: write the number of stages to freeze, 0 to {len(stages)} '
            '(0 is the embedding alone), or -1 for none'
        )
    return [embedding, *stages[:frozen_stages]] if frozen_stages >= 0 else []


def describe_trainable(model: nn.Module) -> str:
    """How many of the model's parameters train, and which parts do not: 'backbone.stages.0, ...'."""
    everything = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    text = f'{trained:,} of {everything:,} parameters train'
    return f'{text}; frozen: {", ".join(_frozen_parts(model))}' if trained < everything else text


def _frozen_parts(module: nn.Module, prefix: str = '') -> list[str]:
    """The largest parts that are frozen as a whole."""
    found = [prefix + name for name, p in module.named_parameters(recurse=False) if not p.requires_grad]
    for name, child in module.named_children():
        frozen = [not p.requires_grad for p in child.parameters()]
        if frozen and all(frozen):
            found.append(prefix + name)
        elif any(frozen):
            found += _frozen_parts(child, f'{prefix}{name}.')
    return found


def _near(names: list[str], path: str) -> str:
    if near := get_close_matches(path, names, n=4, cutoff=0.7):
        return f'near it are {", ".join(sorted(near))}'
    parent = path
    while parent and parent not in names:
        parent = parent.rpartition('.')[0]
    below = [name for name in names if name and name.rpartition('.')[0] == parent]
    return f'{f"under {parent!r}" if parent else "at its top"} are {", ".join(below[:12])}'
