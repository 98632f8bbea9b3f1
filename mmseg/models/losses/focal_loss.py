"""Focal loss. Source: Lin et al. (arXiv 1708.02002). Legend: B images, C classes, H x W label map."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from ..layers import from_host
from .base import BaseLoss
from .resized_scores import sum_over_strips
from .utils import at_least_float32, checked_scores, one_hot


@MODELS.register_module()
class FocalLoss(BaseLoss):
    """Cross-entropy of each class on its own (sigmoid), times (1 - p)^gamma, p the probability of what is right.

    Args:
        use_sigmoid: kept for configs that spell it out; only True is possible.
        gamma: 0 leaves cross-entropy; the larger, the less do pixels count that are right already.
        alpha: factor where a class is present, and 1 - alpha where it is not; one number, or one a class.
        reduction: 'none' (B x C x H x W), 'mean' (over pixels and classes; ignored pixels count in it) or 'sum'.
        class_weight: as for :class:`CrossEntropyLoss`; of a class's losses, present or not.
        loss_weight: factor on the result.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 0.5,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_focal',
    ) -> None:
        super().__init__(loss_name, loss_weight, class_weight, reduction)
        require(use_sigmoid, 'FocalLoss is of each class on its own: use_sigmoid=False is not possible')
        alphas = [alpha] if isinstance(alpha, (int, float)) else list(alpha)
        require(
            gamma >= 0 and all(0 <= one <= 1 for one in alphas),
            f'FocalLoss: gamma={gamma} is at least 0, alpha={alpha} from 0 to 1',
        )
        self.gamma, self.alpha = gamma, alpha

    @property
    def resizes(self) -> bool:
        return self.reduction != 'none'

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Loss of ``pred`` (scores, B x C x H x W) against ``target`` (class indices, B x H x W).

        Args:
            weight: a weight for each pixel, B x H x W.
            avg_factor: what 'mean' divides the sum by, in place of the number of pixels times classes.
            reduction_override: used instead of ``reduction``.
            ignore_index: the label of pixels that do not count.
        """
        loss = self._each(checked_scores(pred, target), target, ignore_index)
        weight = None if weight is None else weight.to(loss.dtype).unsqueeze(1)
        return self.reduced(loss, weight, avg_factor, reduction_override)

    def of_coarse(
        self, pred: Tensor, target: Tensor, ignore_index: int = 255, align_corners: bool = False
    ) -> tuple[Tensor, None]:
        """:meth:`forward` of scores B x C x h x w resized to the labels, which are never there as a whole."""

        def terms(scores: Tensor, label: Tensor) -> Tensor:
            return self._each(scores, label, ignore_index).sum()

        total = sum_over_strips(terms, at_least_float32(pred), target, align_corners)
        count = target.numel() * pred.shape[1] if self.reduction == 'mean' else None
        return self.reduced(total, None, count), None

    def _each(self, scores: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """Of each class in each pixel, B x C x H x W."""
        classes = scores.shape[1]
        target = one_hot(label, classes, ignore_index, scores.dtype)
        share = scores.sigmoid()
        wrong = share * (1 - target) + (1 - share) * target  # 1 - p
        alpha = [self.alpha] if isinstance(self.alpha, (int, float)) else list(self.alpha)
        alpha = from_host(alpha, scores.device, scores.dtype)
        if len(alpha) not in (1, classes):
            raise ValueError(f'FocalLoss: alpha has {len(alpha)} numbers for {classes} classes; give one, or one each')
        alpha = alpha.view(-1, 1, 1)
        factor = (alpha * target + (1 - alpha) * (1 - target)) * wrong**self.gamma
        weight = self.class_weight_for(scores)
        factor = factor if weight is None else factor * weight.view(-1, 1, 1)
        loss = F.binary_cross_entropy_with_logits(scores, target, reduction='none') * factor
        return loss.masked_fill((label == ignore_index).unsqueeze(1), 0)
