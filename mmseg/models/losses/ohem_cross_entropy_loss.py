"""Cross-entropy of hard pixels. Legend: B images, C classes, H x W label map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.structures.sampler import below_probability
from mmseg.utils.errors import require

from .base import BaseLoss
from .resized_cross_entropy import resized_cross_entropy
from .resized_scores import map_over_strips, of_the_label
from .utils import at_least_float32, checked_scores


@MODELS.register_module()
class OhemCrossEntropy(BaseLoss):
    """The mean softmax cross-entropy of the pixels that the model does not know well (Shrivastava et al., 1604.03540).

    Args:
        ignore_label: the head's ``ignore_index``.
        thres: pixels whose own class has a lower probability than this are hard.
        min_kept: as many pixels of the batch, those of the lowest probability, count at least.
        loss_weight: factor on the result.
        class_weight: as for :class:`CrossEntropyLoss`.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
    """

    resizes = True

    def __init__(
        self,
        ignore_label: int = 255,
        thres: float = 0.7,
        min_kept: int = 100000,
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | str | None = None,
        loss_name: str = 'loss_ohem',
    ) -> None:
        super().__init__(loss_name, loss_weight, class_weight)
        require(
            0 < thres <= 1 and min_kept >= 1,
            f'OhemCrossEntropy: thres={thres} is above 0 and at most 1, min_kept={min_kept} at least 1',
        )
        self.ignore_label, self.thres, self.min_kept = ignore_label, thres, min_kept

    def forward(
        self, score: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int | None = None
    ) -> Tensor:
        """Loss of ``score`` (B x C x H x W) against ``target`` (class indices, B x H x W).

        Args:
            weight: a weight for each pixel, B x H x W.
            ignore_index: the label of pixels that do not count, in place of ``ignore_label``.
        """
        score = _two_scores(checked_scores(score, target))
        known, hard = self._hard_pixels(_log_probability(score.detach(), target), target, ignore_index)
        class_weight = self.class_weight_for(score)
        loss = F.cross_entropy(score, known, weight=class_weight, reduction='none') * hard
        if weight is not None:
            loss = loss * weight.to(loss.dtype)
        return self.reduced(loss, None, hard.sum())

    def of_coarse(
        self, score: Tensor, target: Tensor, ignore_index: int | None = None, align_corners: bool = False
    ) -> tuple[Tensor, Tensor]:
        """:meth:`forward` of scores B x C x h x w resized to the labels, which are never there as a whole.

        Returns:
            The loss, and where no class has a higher score than the label, B x H x W bool.
        """
        score = _two_scores(at_least_float32(score))
        log_probability = map_over_strips(_log_probability, score.detach(), target, align_corners)
        known, hard = self._hard_pixels(log_probability, target, ignore_index)
        class_weight = self.class_weight_for(score)
        weight = hard if class_weight is None else class_weight[known] * hard
        total, right = resized_cross_entropy(score, known, weight, align_corners)
        return self.reduced(total, None, hard.sum()), right

    def _hard_pixels(self, log_probability: Tensor, target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
        """The labels, with a class where they are ignored, and 1 for hard pixels, else 0; both B x H x W."""
        counted = target != (self.ignore_label if ignore_index is None else ignore_index)
        hard = torch.zeros_like(log_probability)
        if kept := min(self.min_kept, int(counted.sum())):
            hard[counted] = below_probability(log_probability[counted].exp(), self.thres, kept).to(hard.dtype)
        return target.masked_fill(~counted, 0), hard


def _log_probability(score: Tensor, label: Tensor) -> Tensor:
    """Of each pixel's label, B x H x W."""
    return of_the_label(score, label) - score.logsumexp(dim=1)


def _two_scores(score: Tensor) -> Tensor:
    """A single score, that of class 1 against class 0, beside the other's."""
    return score if score.shape[1] > 1 else torch.cat([torch.zeros_like(score), score], dim=1)
