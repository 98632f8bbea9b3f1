"""Two classes told apart by one score a pixel, and the ways to write a head of two classes that cannot work."""

from collections.abc import Sequence

import torch
from torch import nn

TWO_WAYS = (
    'two classes (0 the background) are written as\n'
    '  num_classes=2  (two scores and softmax), or as\n'
    "  num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)  (one score)"
)


def check_scores(name: str, num_classes: int, out_channels: int, threshold: float | None, ignore_index: int) -> None:
    """Raises where a head of that name would predict one class for ever, or its scores do not stand for its classes."""
    if num_classes < 2:
        raise ValueError(
            f'{name}: num_classes={num_classes} leaves nothing to tell apart, as the background is a class too; '
            f'{TWO_WAYS}'
        )
    if num_classes == 2 and ignore_index in (0, 1):
        raise ValueError(
            f'{name}: ignore_index={ignore_index} is one of the two classes of num_classes=2, so that only the other '
            'is ever trained; leave ignore_index at 255 and mark with 255 what is to be ignored'
        )
    if out_channels != num_classes and (num_classes, out_channels) != (2, 1):
        raise ValueError(
            f'{name}: out_channels={out_channels} does not go with num_classes={num_classes}: leave it out for one '
            f'score a class; {TWO_WAYS}'
        )
    if threshold is not None and out_channels != 1:
        raise ValueError(
            f'{name}: threshold={threshold} has no effect on {out_channels} scores, the highest of which wins; '
            f'{TWO_WAYS}'
        )
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f'{name}: threshold={threshold} would predict one class for ever; choose it between 0 and 1')


def check_losses(name: str, losses: Sequence[nn.Module], ignore_index: int) -> None:
    """Raises where the losses cannot teach one score to tell labels 0 and 1 apart: they are asked for a gradient."""
    total = torch.zeros(2, device='cpu')
    for loss in losses:
        kind = type(loss).__name__
        try:
            gradient = _gradient(loss, ignore_index)
        except Exception as error:
            raise ValueError(f'{name}: {kind} does not take one score a pixel ({error}); {TWO_WAYS}') from error
        if getattr(loss, 'loss_weight', 1) and not gradient.any():
            raise ValueError(f'{name}: {kind} has no gradient for one score a pixel: it needs sigmoid; {TWO_WAYS}')
        total += gradient
    if not total[0] > 0 > total[1]:
        raise ValueError(f'{name}: by its losses one score does not rise at label 1 and fall at label 0; {TWO_WAYS}')


def _gradient(loss: nn.Module, ignore_index: int) -> torch.Tensor:
    """Of the score at pixels of label 0 and of label 1, where both are at 0."""
    with torch.device('cpu'), torch.random.fork_rng(devices=[]), torch.enable_grad():
        scores = torch.zeros(1, 1, 8, 8, requires_grad=True)
        label = torch.arange(8).expand(1, 8, 8) % 2
        (gradient,) = torch.autograd.grad(loss(scores, label, ignore_index=ignore_index).sum(), scores)
        return torch.stack([gradient[0, 0, label[0] == i].sum() for i in (0, 1)])
