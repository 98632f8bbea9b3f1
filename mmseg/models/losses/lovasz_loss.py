"""Lovasz-Softmax and Lovasz hinge. Source: Berman et al. (arXiv 1705.08790).

Legend: B images, C classes, H x W label map, N pixels that count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from .base import BaseLoss
from .utils import checked_scores


@MODELS.register_module()
class LovaszLoss(BaseLoss):
    """A convex surrogate of 1 - IoU, the mean over classes.

    Args:
        loss_type: 'multi_class' (softmax over C scores), or 'binary' (hinge of one score).
        classes: 'present', those with a pixel, 'all', or a list of class indices; for 'multi_class'.
        per_image: of each image, then the mean over images; otherwise of all the batch's pixels together.
        reduction: 'none', 'mean' or 'sum' over images; without ``per_image`` there is one number only.
        class_weight: as for :class:`CrossEntropyLoss`; factors on the classes' losses.
        loss_weight: factor on the result.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
    """

    def __init__(
        self,
        loss_type: str = 'multi_class',
        classes: str | Sequence[int] = 'present',
        per_image: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_lovasz',
    ) -> None:
        super().__init__(loss_name, loss_weight, class_weight, reduction)
        kinds = ('binary', 'multi_class')
        require(loss_type in kinds, f'LovaszLoss: loss_type={loss_type!r} is none of {kinds}')
        listed = isinstance(classes, (list, tuple)) and all(isinstance(index, int) for index in classes) and classes
        require(
            classes in ('all', 'present') or bool(listed),
            f"LovaszLoss: classes={classes!r} is not 'all', 'present' or a list of class indices",
        )
        self.loss_type, self.classes, self.per_image = loss_type, classes, per_image

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Loss of ``cls_score`` (B x C x H x W) against ``label`` (class indices, B x H x W).

        Args:
            weight: pixels of weight 0 do not count; others count alike, as the loss is one of their order.
            avg_factor: what 'mean' divides the sum over images by, in place of their number.
            reduction_override: used instead of ``reduction``.
            ignore_index: the label of pixels that do not count.
        """
        scores = checked_scores(cls_score, label)
        if self.loss_type == 'binary' and scores.shape[1] != 1:
            raise ValueError(f"LovaszLoss: loss_type='binary' is of one score a pixel, not {scores.shape[1]}")
        counted = label != ignore_index
        if weight is not None:
            counted = counted & (weight != 0)
        if self.loss_type == 'multi_class':
            scores = scores.softmax(dim=1)
        groups = zip(*(x.split(1 if self.per_image else len(x)) for x in (scores, label, counted)), strict=True)
        losses = torch.stack([self._of(*group) for group in groups])
        return self.reduced(losses, None, avg_factor, reduction_override)

    def _of(self, scores: Tensor, label: Tensor, counted: Tensor) -> Tensor:
        """One number, of all pixels given."""
        if self.loss_type == 'binary':
            return lovasz_hinge(scores[:, 0][counted], label[counted])
        classes = scores.shape[1]
        weight = self.class_weight_for(scores)
        chosen = list(range(classes)) if isinstance(self.classes, str) else list(self.classes)
        return _LovaszSoftmax.apply(scores, label, counted, chosen, self.classes == 'present', weight)


def lovasz_gradient(present: Tensor) -> Tensor:
    """How the Jaccard loss grows with each error, N, the largest first; ``present`` says which are of the class."""
    present = present.long()  # whole numbers add up in a fixed order, also on CUDA
    total = present.sum()
    intersection = total - present.cumsum(0)
    union = total + (1 - present).cumsum(0)
    jaccard = 1 - intersection.double() / union
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))


def lovasz_hinge(score: Tensor, label: Tensor) -> Tensor:
    """Of N scores of class 1 and their labels, 0 or 1."""
    errors, order = (1 - score * (2 * label - 1)).sort(descending=True)
    return (errors.relu() * lovasz_gradient(label[order]).to(errors.dtype)).sum()


class _LovaszSoftmax(torch.autograd.Function):
    """The gradient is at hand where the loss is computed: one class is sorted, scored and forgotten at a time."""

    @staticmethod
    def forward(
        ctx,
        shares: Tensor,
        label: Tensor,
        counted: Tensor,
        classes: list[int],
        only_present: bool,
        class_weight: Tensor | None,
    ) -> Tensor:
        label = label[counted]
        gradient = torch.zeros_like(shares)
        losses = []
        for index in classes:
            present = label == index
            if not len(label) or (only_present and not present.any()):
                continue
            share = shares[:, index][counted]
            signed = share - present.to(share.dtype)
            errors, order = signed.abs().sort(descending=True)
            growth = lovasz_gradient(present[order]).to(errors.dtype)
            weight = 1 if class_weight is None else class_weight[index]
            losses.append((errors * growth).sum() * weight)
            of_share = torch.empty_like(share)
            of_share[order] = growth * weight
            gradient[:, index][counted] = of_share * signed.sign()
        ctx.save_for_backward(gradient.div_(max(len(losses), 1)))
        return torch.stack(losses).mean() if losses else shares.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx, factor: Tensor) -> tuple:
        (gradient,) = ctx.saved_tensors
        return gradient * factor, None, None, None, None, None
