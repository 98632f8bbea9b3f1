"""Tversky loss. Source: Salehi et al. (arXiv 1706.05721). Legend: B images, C classes, H x W label map."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from .base import BaseLoss
from .region_sums import RegionSums


@MODELS.register_module()
class TverskyLoss(BaseLoss):
    """1 - (TP + s) / (TP + alpha FP + beta FN + s) of each class and image, averaged, with softmax probabilities.

    TP, FP and FN are sums of probabilities over the pixels that count; a ``beta`` above ``alpha`` makes missed pixels
    dearer than wrong ones. alpha = beta = 0.5 is Dice. A head of one score takes sigmoid, and has one class.

    Args:
        smooth: the s above.
        class_weight: as for :class:`CrossEntropyLoss`.
        loss_weight: factor on the result.
        ignore_index: the head's.
        alpha, beta: see above; together 1, as in mmsegmentation.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
    """

    resizes = True

    def __init__(
        self,
        smooth: float = 1.0,
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        alpha: float = 0.3,
        beta: float = 0.7,
        loss_name: str = 'loss_tversky',
    ) -> None:
        super().__init__(loss_name, loss_weight, class_weight)
        require(smooth > 0, f'TverskyLoss: smooth={smooth} must be above 0, for images without a class')
        require(
            min(alpha, beta) >= 0 and math.isclose(alpha + beta, 1),
            f'TverskyLoss: alpha={alpha} and beta={beta} are at least 0 and 1 together',
        )
        self.smooth, self.alpha, self.beta = smooth, alpha, beta
        self.ignore_index = ignore_index

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = 255) -> Tensor:
        """Loss of ``pred`` (scores, B x C x H x W) against ``target`` (class indices, B x H x W).

        Args:
            weight: a weight for each pixel, B x H x W.
            ignore_index: the label of pixels that do not count.
        """
        return self._of_sums(RegionSums.of(pred, target, 'softmax', ignore_index, weight), ignore_index)

    def of_coarse(
        self, pred: Tensor, target: Tensor, ignore_index: int = 255, align_corners: bool = False
    ) -> tuple[Tensor, None]:
        """:meth:`forward` of scores B x C x h x w resized to the labels, which are never there as a whole."""
        return self._of_sums(
            RegionSums.of_coarse(pred, target, 'softmax', ignore_index, align_corners), ignore_index
        ), None

    def _of_sums(self, sums: RegionSums, ignore_index: int) -> Tensor:
        hit = sums.overlap
        wrong, missed = sums.predicted - hit, sums.actual - hit
        index = (hit + self.smooth) / (hit + self.alpha * wrong + self.beta * missed + self.smooth)
        loss = 1 - index
        classes = loss.shape[1]
        weight = self.class_weight_for(loss)
        loss = loss if weight is None else loss * weight
        if classes > 1 and 0 <= ignore_index < classes:
            loss = loss.masked_fill(torch.arange(classes, device=loss.device) == ignore_index, 0)
        return self.reduced(loss)
