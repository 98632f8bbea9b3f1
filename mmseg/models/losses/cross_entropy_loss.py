"""Cross-entropy per pixel, over classes (softmax) or for each class on its own (sigmoid).

Legend: B images, C classes, H x W label map. Everything is computed in float32 whatever autocast does.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from .base import BaseLoss
from .resized_cross_entropy import resized_cross_entropy
from .resized_scores import sum_over_strips
from .utils import at_least_float32, checked_scores, weight_reduce_loss


def cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    ignore_index: int = 255,
    avg_non_ignore: bool = False,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy.

    Args:
        pred: scores, B x C x H x W (or any B x C x ...).
        label: class indices, B x H x W; pixels of ``ignore_index`` have loss 0.
        weight: a weight for each pixel, B x H x W.
        class_weight: a weight for each class, C.
        reduction: 'none' (B x H x W), 'mean' or 'sum'.
        avg_factor: what 'mean' divides by. By default each pixel counts as much as its class weight:
            1 without ``class_weight``, and 1 for an ignored pixel.
        avg_non_ignore: ignored pixels count 0 in that average.
        label_smoothing: share of each label that is spread over all classes (Szegedy et al., arXiv 1512.00567).
    """
    options = dict(weight=class_weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    loss = F.cross_entropy(pred, label, reduction='none', **options)
    if reduction == 'mean' and avg_factor is None:
        avg_factor = _pixels(label, class_weight, ignore_index, avg_non_ignore)
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


def _pixels(label: Tensor, class_weight: Tensor | None, ignore_index: int, avg_non_ignore: bool) -> int | Tensor:
    """How many pixels count in the average of :func:`cross_entropy`, each as much as its class weight."""
    ignored = label == ignore_index
    if class_weight is None:
        return label.numel() - ignored.sum() if avg_non_ignore else label.numel()
    pixel_weight = class_weight[label.masked_fill(ignored, 0)]
    return pixel_weight.masked_fill(ignored, 0 if avg_non_ignore else 1).sum()


def binary_cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    ignore_index: int = 255,
    avg_non_ignore: bool = False,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Sigmoid cross-entropy: each class against the rest.

    Arguments as in :func:`cross_entropy`, except that losses are B x C x H x W, averaged over pixels
    and classes, and that ``class_weight`` multiplies the loss where the class is present. With a
    single score (C = 1) labels are 0 and 1, and 1 is the class; ``class_weight`` may then have two numbers,
    one for pixels of each label.
    """
    classes = pred.shape[1]
    ignored = (label == ignore_index).unsqueeze(1)
    known = label.unsqueeze(1).masked_fill(ignored, 0)
    present = pred.new_zeros(len(pred), max(classes, 2), *pred.shape[2:]).scatter_(1, known, 1.0)
    target = present[:, -classes:]
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / 2
    if class_weight is not None:
        class_weight = class_weight.view(-1, *[1] * (pred.dim() - 2))
        if len(class_weight) > classes:
            weight_of_label = (present * class_weight).sum(dim=1)
            weight, class_weight = weight_of_label if weight is None else weight_of_label * weight, None
    loss = F.binary_cross_entropy_with_logits(pred, target, pos_weight=class_weight, reduction='none')
    loss = loss.masked_fill(ignored, 0)
    if reduction == 'mean' and avg_factor is None and avg_non_ignore:
        avg_factor = (label.numel() - ignored.sum()) * classes
    return weight_reduce_loss(loss, None if weight is None else weight.unsqueeze(1), reduction, avg_factor)


@MODELS.register_module()
class CrossEntropyLoss(BaseLoss):
    """Cross-entropy of score maps against label maps.

    The mean is taken over all pixels: an ignored one adds nothing to the sum but counts in the
    division. ``avg_non_ignore`` divides by the other pixels only. A batch with nothing but ignored
    pixels gives 0 and zero gradients in both cases.

    Args:
        use_sigmoid: each class on its own (sigmoid) instead of one class of all (softmax).
        use_mask: kept for configs that spell it out; only False is possible.
        reduction: 'none', 'mean' or 'sum'.
        class_weight: one number a class, or a file that holds them (see :func:`.utils.get_class_weight`); two for a
            single score with sigmoid, one for each label. 'auto' (which is 'inverse_sqrt') and 'median_frequency':
            by how frequent the classes are in the training set (:func:`mmseg.datasets.class_weights`).
        loss_weight: factor on the result.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
        avg_non_ignore: leave ignored pixels out of the average.
        label_smoothing: share of each label that is spread evenly: over all classes with softmax, over presence and
            absence with sigmoid.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        avg_non_ignore: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(loss_name, loss_weight, class_weight, reduction)
        require(
            not use_mask,
            'CrossEntropyLoss(use_mask=True) is for instance masks; write use_sigmoid=True for one binary problem a '
            'class',
        )
        require(0 <= label_smoothing < 1, f'label_smoothing is a share from 0 to below 1, not {label_smoothing!r}')
        self.use_sigmoid = use_sigmoid
        self.label_smoothing = label_smoothing
        self.avg_non_ignore = avg_non_ignore

    def extra_repr(self) -> str:
        return f'use_sigmoid={self.use_sigmoid}, avg_non_ignore={self.avg_non_ignore}'

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Loss of ``cls_score`` (B x C x H x W) against ``label`` (B x H x W, class indices).

        Args:
            weight: a weight for each pixel, B x H x W.
            avg_factor: what 'mean' divides the sum by, in place of the number of pixels.
            reduction_override: used instead of ``reduction``.
            ignore_index: the label of pixels that do not count.
        """
        cls_score = checked_scores(cls_score, label)
        loss_function = binary_cross_entropy if self.use_sigmoid else cross_entropy
        counts = (1, 2) if self.use_sigmoid and cls_score.shape[1] == 1 else ()
        return self.loss_weight * loss_function(
            cls_score,
            label,
            weight=None if weight is None else weight.to(cls_score.dtype),
            class_weight=self.class_weight_for(cls_score, counts),
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor,
            ignore_index=ignore_index,
            avg_non_ignore=self.avg_non_ignore,
            label_smoothing=self.label_smoothing,
        )

    @property
    def resizes(self) -> bool:
        return not self.use_sigmoid and self.reduction != 'none'

    def of_coarse(
        self, cls_score: Tensor, label: Tensor, ignore_index: int = 255, align_corners: bool = False
    ) -> tuple[Tensor, Tensor]:
        """:meth:`forward` of scores B x C x h x w resized to the labels, which are never there as a whole.

        Returns:
            The loss, and where no class has a higher score than the label, B x H x W bool.
        """
        cls_score = at_least_float32(cls_score)
        class_weight = self.class_weight_for(cls_score)
        ignored = label == ignore_index
        known = label.masked_fill(ignored, 0)
        weight = cls_score.new_ones(label.shape) if class_weight is None else class_weight[known]
        total, right = resized_cross_entropy(cls_score, known, weight.masked_fill(ignored, 0), align_corners)
        if self.label_smoothing:
            spread = sum_over_strips(_Spread(class_weight, ignore_index), cls_score, label, align_corners)
            total = (1 - self.label_smoothing) * total + self.label_smoothing * spread
        pixels = _pixels(label, class_weight, ignore_index, self.avg_non_ignore) if self.reduction == 'mean' else None
        return self.reduced(total, None, pixels), right


class _Spread:
    """The sum over pixels that count of the mean cross-entropy with every class, weighted."""

    def __init__(self, class_weight: Tensor | None, ignore_index: int) -> None:
        self.class_weight, self.ignore_index = class_weight, ignore_index

    def __call__(self, scores: Tensor, label: Tensor) -> Tensor:
        loss = -scores.log_softmax(dim=1)
        if self.class_weight is not None:
            loss = loss * self.class_weight.view(-1, 1, 1)
        return loss.mean(dim=1).masked_fill(label == self.ignore_index, 0).sum()
