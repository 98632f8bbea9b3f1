"""How a loss per pixel becomes one number: weights, then the reduction."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mmseg.utils.text_file import read_data

REDUCTIONS = ('none', 'mean', 'sum')
FROM_DATA = ('auto', 'inverse_sqrt', 'median_frequency')  # weights that the runner counts in the training set


def get_class_weight(class_weight: Sequence[float] | str | None) -> list[float] | str | None:
    """One weight a class, given as numbers or as a file of them: ``.npy``, ``.json`` or ``.yaml``.

    One of :data:`FROM_DATA` stays as it is, until the runner puts the weights in its place.
    """
    if isinstance(class_weight, str):
        if class_weight in FROM_DATA:
            return class_weight
        class_weight = np.load(class_weight) if class_weight.endswith('.npy') else read_data(class_weight)
    return None if class_weight is None else [float(weight) for weight in class_weight]


def checked_scores(scores: Tensor, label: Tensor) -> Tensor:
    """The scores, B x C x ..., in at least float32, if they go with the labels, B x ..."""
    if scores.shape[:1] + scores.shape[2:] != label.shape:
        raise ValueError(
            f'scores of shape {tuple(scores.shape)} (batch, classes, height, width) do not go with '
            f'labels of shape {tuple(label.shape)}: resize the scores to the labels first'
        )
    return at_least_float32(scores)


def at_least_float32(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


def one_hot(label: Tensor, classes: int, ignore_index: int, dtype: torch.dtype) -> Tensor:
    """B x H x W -> B x C x H x W, 1 at each label's class; with a single score (C = 1) that is class 1."""
    ignored = label == ignore_index
    known = label.masked_fill(ignored, 0).unsqueeze(1)
    present = torch.zeros(len(label), max(classes, 2), *label.shape[1:], dtype=dtype, device=label.device)
    return present.scatter_(1, known, 1.0)[:, -classes:].masked_fill(ignored.unsqueeze(1), 0)


def checked_reduction(reduction: str) -> str:
    """The reduction, if there is such a one."""
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
    return reduction


def reduce_loss(loss: Tensor, reduction: str) -> Tensor:
    """Reduce ``loss`` by ``reduction``: 'none', 'mean' or 'sum'."""
    return loss if checked_reduction(reduction) == 'none' else getattr(loss, reduction)()


def weight_reduce_loss(
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Weight a loss element by element, then reduce it.

    Args:
        loss: losses of any shape.
        weight: their weights, of a shape that broadcasts against ``loss`` dimension by dimension.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: what 'mean' divides the sum by, in place of the number of elements. A factor of 0
            counts as a tiny one: nothing to average over gives 0, not NaN.
    """
    if weight is not None:
        if weight.dim() != loss.dim():
            raise ValueError(f'weight {tuple(weight.shape)} does not match the loss {tuple(loss.shape)}')
        loss = loss * weight
    if avg_factor is None or reduction == 'none':
        return reduce_loss(loss, reduction)
    if reduction != 'mean':
        raise ValueError(f"avg_factor goes with reduction='mean' only, got {reduction!r}")
    eps = torch.finfo(torch.float32).eps
    # A tensor stays one: reading its value would make the host wait for the GPU.
    avg_factor = avg_factor.clamp(min=eps) if isinstance(avg_factor, Tensor) else max(avg_factor, eps)
    return loss.sum() / avg_factor


def weighted_loss(loss_func: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator: ``f(pred, target, ...)``, a loss per element, takes ``weight``, ``reduction`` and
    ``avg_factor`` too, with the meaning of :func:`weight_reduce_loss`.
    """

    @functools.wraps(loss_func)
    def wrapper(pred, target, weight=None, reduction='mean', avg_factor=None, **loss_args):
        return weight_reduce_loss(loss_func(pred, target, **loss_args), weight, reduction, avg_factor)

    return wrapper
