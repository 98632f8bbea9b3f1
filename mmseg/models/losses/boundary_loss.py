"""Losses of boundaries. Legend: B images, C classes, H x W label map."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.utils.errors import require

from .base import BaseLoss
from .utils import checked_scores, one_hot

EPS = 1e-7


@MODELS.register_module()
class BoundaryLoss(BaseLoss):
    """Whether boundaries are where they should be.

    Of C scores a pixel: 1 - F1 of the predicted classes' boundaries (Bokhovkin and Burnaev, arXiv 1905.07852), averaged
    over the classes that have a boundary in the image. It says nothing of a region's inside, so it goes beside another
    loss. Of one score a pixel, that of being an edge, against an edge map of 0 and 1
    (:class:`~mmseg.datasets.transforms.GenerateEdge`): binary cross-entropy in which edges weigh as much in sum as all
    the rest (PIDNet, arXiv 2206.02066).

    Args:
        loss_weight: factor on the result.
        loss_name: the name in the log; what starts with 'loss' takes part in the backward pass.
        width: of C scores: side of the window, odd, in which a boundary pixel sees another class.
        tolerance: of C scores: side of the window, odd, in which a boundary pixel finds its counterpart.
    """

    def __init__(
        self, loss_weight: float = 1.0, loss_name: str = 'loss_boundary', width: int = 3, tolerance: int = 5
    ) -> None:
        super().__init__(loss_name, loss_weight)
        for name, value in (('width', width), ('tolerance', tolerance)):
            require(
                value % 2 == 1 and value >= (3 if name == 'width' else 1),
                f'BoundaryLoss: {name}={value} is not an odd number of pixels (width: 3 or more)',
            )
        self.width, self.tolerance = width, tolerance

    def forward(self, bd_pre: Tensor, bd_gt: Tensor, weight: Tensor | None = None, ignore_index: int = 255) -> Tensor:
        """Loss of scores B x C x H x W against labels B x H x W.

        Args:
            weight: a weight for each pixel, B x H x W.
            ignore_index: the label of pixels that do not count, nor those that have one in their window.
        """
        scores = checked_scores(bd_pre, bd_gt)
        counted = (bd_gt != ignore_index).to(scores.dtype)
        if weight is not None:
            counted = counted * weight.to(scores.dtype)
        of = _edge_cross_entropy if scores.shape[1] == 1 else self._boundary_f1
        return self.loss_weight * of(scores, bd_gt, counted.unsqueeze(1), ignore_index)

    def _boundary_f1(self, scores: Tensor, label: Tensor, counted: Tensor, ignore_index: int) -> Tensor:
        inside = -_widest(-counted, self.width)
        present = one_hot(label, scores.shape[1], ignore_index, scores.dtype)
        truth, found = ((_widest(1 - x, self.width) - (1 - x)) * inside for x in (present, scores.softmax(dim=1)))
        precision = _share(found, _widest(truth, self.tolerance))
        recall = _share(truth, _widest(found, self.tolerance))
        f1 = 2 * precision * recall / (precision + recall + EPS)
        has_boundary = truth.amax(dim=(2, 3)) > 0
        return ((1 - f1) * has_boundary).sum() / has_boundary.sum().clamp(min=1)


def _widest(x: Tensor, size: int) -> Tensor:
    """The highest value in each pixel's window."""
    return F.max_pool2d(x, size, stride=1, padding=size // 2)


def _share(of: Tensor, within: Tensor) -> Tensor:
    """B x C"""
    return (of * within).sum(dim=(2, 3)) / (of.sum(dim=(2, 3)) + EPS)


def _edge_cross_entropy(scores: Tensor, label: Tensor, counted: Tensor, ignore_index: int) -> Tensor:
    edge = (label == 1).to(scores.dtype).unsqueeze(1)
    total = counted.sum().clamp(min=EPS)
    edges = (edge * counted).sum()
    weight = counted * torch.where(edge > 0, total - edges, edges) / total
    return (F.binary_cross_entropy_with_logits(scores, edge, reduction='none') * weight).mean()
