"""Dice loss. Source: Milletari et al., V-Net (arXiv 1606.04797). Legend: B images, C classes, H x W label map."""

from torch import Tensor

from mmseg.registry import MODELS

from .base import BaseLoss
from .region_sums import RegionSums


@MODELS.register_module()
class DiceLoss(BaseLoss):
    """1 - 2 |P T| / (|P|^2 + |T|^2) of an image's probabilities P and one-hot labels T; ignored pixels are in neither.

    By default, as in mmsegmentation, P and T are those of all classes at once, so that a class has the weight of its
    area. ``per_class`` has one such term for each class that the image has, and takes their mean: rare classes count as
    much as others.

    Args:
        use_sigmoid: each class on its own (sigmoid) instead of one class of all (softmax).
        activate: whether that is done here; False takes scores for probabilities.
        reduction: 'none' (one number an image), 'mean' or 'sum'. Images without a label have loss 0.
        naive_dice: |P| + |T| in the denominator, not the squares.
        loss_weight: factor on the result.
        ignore_index: the head's.
        eps: added to both of the denominator's terms, or with ``naive_dice`` to numerator and denominator.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
        per_class: see above.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        reduction: str = 'mean',
        naive_dice: bool = False,
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        eps: float = 1e-3,
        loss_name: str = 'loss_dice',
        per_class: bool = False,
    ) -> None:
        super().__init__(loss_name, loss_weight, reduction=reduction)
        self.use_sigmoid, self.activate = use_sigmoid, activate
        self.naive_dice = naive_dice
        self.ignore_index = ignore_index
        self.eps = eps
        self.per_class = per_class

    @property
    def activation(self) -> str | None:
        return None if not self.activate else 'sigmoid' if self.use_sigmoid else 'softmax'

    @property
    def resizes(self) -> bool:
        return self.activate and self.reduction != 'none'

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

        A target of the scores' shape is taken for the classes' shares in each pixel.

        Args:
            weight: a weight for each pixel, B x H x W.
            avg_factor: what 'mean' divides the sum by, in place of the number of images.
            reduction_override: used instead of ``reduction``.
            ignore_index: the label of pixels that do not count.
        """
        sums = RegionSums.of(pred, target, self.activation, ignore_index, weight)
        return self.reduced(self._of_sums(sums, ignore_index), None, avg_factor, reduction_override)

    def of_coarse(
        self, pred: Tensor, target: Tensor, ignore_index: int = 255, align_corners: bool = False
    ) -> tuple[Tensor, None]:
        """:meth:`forward` of scores B x C x h x w resized to the labels, which are never there as a whole."""
        sums = RegionSums.of_coarse(pred, target, self.activation, ignore_index, align_corners)
        return self.reduced(self._of_sums(sums, ignore_index)), None

    def _of_sums(self, sums: RegionSums, ignore_index: int) -> Tensor:
        """Of each image, B."""
        sums = sums.without(ignore_index)
        if not self.per_class:
            sums = RegionSums(*(one.sum(dim=1, keepdim=True) for one in sums))
        if self.naive_dice:
            dice = (2 * sums.overlap + self.eps) / (sums.predicted + sums.actual + self.eps)
        else:
            dice = 2 * sums.overlap / (sums.squared + sums.actual + 2 * self.eps)
        # What an image does not have leaves no overlap to speak of; with one score its pixels of class 0 still count.
        by_class = self.per_class and sums.actual.shape[1] > 1
        counts = sums.actual > 0 if by_class else sums.predicted + sums.actual > 0
        return ((1 - dice) * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)
