"""What losses of overlap between regions are made of: sums over an image's pixels, for each class.

Legend: B images, C classes, H x W label map.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .resized_scores import sum_over_strips
from .utils import at_least_float32, checked_scores, one_hot


class RegionSums(NamedTuple):
    """Sums over the pixels of each image that count, all B x C.

    Attributes:
        overlap: of p t, the probability where the class is.
        predicted: of p.
        squared: of p^2.
        actual: of t, 1 where the class is and 0 elsewhere.
    """

    overlap: Tensor
    predicted: Tensor
    squared: Tensor
    actual: Tensor

    @classmethod
    def of(
        cls, scores: Tensor, label: Tensor, activation: str | None, ignore_index: int, weight: Tensor | None = None
    ) -> 'RegionSums':
        """Of scores B x C x H x W and labels B x H x W, or B x C x H x W shares of the classes.

        Args:
            activation: 'sigmoid', 'softmax', or None for scores that are probabilities already. A single score
                (C = 1), that of class 1, takes sigmoid in place of softmax.
            ignore_index: label of pixels that do not count.
            weight: how much each of the others counts, B x H x W; all alike where left out.
        """
        shares = scores.shape == label.shape
        scores = checked_scores(scores, label[:, 0] if shares else label)
        return cls(*_sums(scores, label, activation, ignore_index, weight))

    @classmethod
    def of_coarse(
        cls, scores: Tensor, label: Tensor, activation: str | None, ignore_index: int, align_corners: bool
    ) -> 'RegionSums':
        """Of scores B x C x h x w resized to the labels, which are never there as a whole."""

        def terms(scores: Tensor, label: Tensor) -> Tensor:
            return _sums(scores, label, activation, ignore_index)

        return cls(*sum_over_strips(terms, at_least_float32(scores), label, align_corners))

    def without(self, index: int) -> 'RegionSums':
        """Without one class, if there is such a one: the label that does not count may be a class of the scores."""
        classes = self.overlap.shape[1]
        if not 0 <= index < classes or classes == 1:
            return self
        return RegionSums(*(torch.cat([one[:, :index], one[:, index + 1 :]], dim=1) for one in self))


def _sums(
    scores: Tensor, label: Tensor, activation: str | None, ignore_index: int, weight: Tensor | None = None
) -> Tensor:
    """4 x B x C."""
    classes = scores.shape[1]
    share = scores
    if activation is not None:
        share = scores.softmax(dim=1) if activation == 'softmax' and classes > 1 else scores.sigmoid()
    if label.dim() == scores.dim():
        target, counted = label.to(scores.dtype), torch.ones_like(scores[:, :1])
    else:
        target = one_hot(label, classes, ignore_index, scores.dtype)
        counted = (label != ignore_index).to(scores.dtype).unsqueeze(1)
    if weight is not None:
        counted = counted * weight.to(scores.dtype).unsqueeze(1)
    share_counted = share * counted
    terms = share_counted * target, share_counted, share_counted * share, target * counted
    return torch.stack([term.sum(dim=(2, 3)) for term in terms])
