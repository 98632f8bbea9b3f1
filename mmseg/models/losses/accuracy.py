"""The share of pixels that are right, for the training log."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

BINARY_THRESHOLD = 0.3  # as mmsegmentation has it


@torch.no_grad()
def accuracy(
    pred: Tensor,
    target: Tensor,
    topk: int | Sequence[int] = 1,
    thresh: float | None = None,
    ignore_index: int | None = None,
    binary_threshold: float = BINARY_THRESHOLD,
) -> Tensor | list[Tensor]:
    """Percentage of elements whose class is among the ``k`` best scores.

    Args:
        pred: scores, B x C x ...; a single one (C = 1) is the logit of class 1 against class 0.
        target: class indices, B x ...
        topk: one ``k``, or several.
        thresh: a score must be above it to count as right.
        ignore_index: the label of elements that do not count. With none left, none is wrong: 100.
        binary_threshold: a single score stands for class 1 where its sigmoid is above this.

    Returns:
        A tensor of one element; a list of them where ``topk`` has several.
    """
    ks = (topk,) if isinstance(topk, int) else tuple(topk)
    if pred.dim() != target.dim() + 1 or pred.shape[:1] + pred.shape[2:] != target.shape:
        raise ValueError(f'scores {tuple(pred.shape)} do not go with labels {tuple(target.shape)}')
    if pred.shape[1] == 1:
        threshold = torch.full_like(pred, math.log(binary_threshold / (1 - binary_threshold)))
        pred = torch.cat([threshold, pred], dim=1)
    if not 1 <= max(ks) <= pred.shape[1]:
        raise ValueError(f'topk must lie in 1 to {pred.shape[1]}, the number of classes; got {topk}')

    # max is several times faster than topk(1), and 1 is what every training step asks for.
    best = pred.max(dim=1, keepdim=True) if max(ks) == 1 else pred.topk(max(ks), dim=1)
    correct = best.indices == target.unsqueeze(1)
    if thresh is not None:
        correct &= best.values > thresh
    counted = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
    shares = [share_of(correct[:, :k].any(dim=1), counted) for k in ks]
    return shares[0] if isinstance(topk, int) else shares


def share_of(correct: Tensor, counted: Tensor) -> Tensor:
    """Percentage of the elements that count which are correct, of two masks; with none that count, none is wrong."""
    eps = torch.finfo(torch.float32).eps
    return 100 * ((correct & counted).sum().reshape(1) + eps) / (counted.sum().reshape(1) + eps)


class Accuracy(nn.Module):
    """:func:`accuracy` with its arguments fixed."""

    def __init__(
        self,
        topk: int | Sequence[int] = (1,),
        thresh: float | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        self.topk = topk
        self.thresh = thresh
        self.ignore_index = ignore_index

    def forward(self, pred: Tensor, target: Tensor) -> Tensor | list[Tensor]:
        """Accuracy of ``pred`` (B x C x ...) against ``target`` (B x ...), in percent."""
        return accuracy(pred, target, self.topk, self.thresh, self.ignore_index)
