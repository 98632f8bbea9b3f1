"""Softmax cross-entropy of coarse scores at the size of the labels, without full-size scores.

At 150 classes the resized scores, their softmax and both gradients are most of a small model's memory in training.
Cross-entropy treats every pixel alone and a bilinear resize reads two rows for each, so here a strip of rows
is resized, scored and forgotten at a time, its gradient with respect to the coarse scores included.

Legend: B images, C classes, coarse h x w, labels H x W; K of the h coarse rows for a strip of R rows.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..layers import full_precision
from ..layers.deterministic import resize_matrix
from .resized_scores import strips_and_reads


def resized_cross_entropy(
    scores: Tensor, label: Tensor, weight: Tensor, align_corners: bool = False
) -> tuple[Tensor, Tensor]:
    """The weighted sum of all pixels' losses, as of scores resized bilinearly to the labels but for rounding.

    Args:
        scores: B x C x h x w, float32 or float64.
        label: B x H x W, classes 0 to C - 1; of pixels with weight 0, any of them.
        weight: of each pixel's loss, B x H x W.
        align_corners: of the resize.

    Returns:
        The sum, and where no class has a higher score than the label, B x H x W bool.
    """
    return _ResizedCrossEntropy.apply(scores, label, weight, align_corners)


class _ResizedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores: Tensor, label: Tensor, weight: Tensor, align_corners: bool) -> tuple[Tensor, Tensor]:
        rows, columns = (
            None if old == new else resize_matrix(old, new, align_corners, scores.dtype, scores.device)
            for old, new in zip(scores.shape[2:], label.shape[1:], strict=True)
        )
        gradient = torch.empty_like(scores) if ctx.needs_input_grad[0] else None
        right = torch.empty_like(label, dtype=torch.bool)
        parts = list(strips_and_reads(scores.shape[1], label.shape[1:], scores.shape[2], align_corners, scores.device))
        losses = []
        with full_precision(scores):
            for b in range(len(scores)):
                wide = scores[b].contiguous() if columns is None else scores[b].contiguous() @ columns.T  # C x h x W
                gradient_wide = None if gradient is None else torch.zeros_like(wide)
                for strip, coarse in parts:
                    resize = None if rows is None else rows[strip, coarse]  # R x K
                    full = wide[:, coarse].clone() if resize is None else resize @ wide[:, coarse]  # C x R x W
                    loss, right[b, strip] = _score(full, label[b, strip], weight[b, strip], gradient is not None)
                    losses.append(loss)
                    if gradient is not None:
                        gradient_wide[:, coarse] += full if resize is None else resize.T @ full
                if gradient is not None:
                    gradient[b] = gradient_wide if columns is None else gradient_wide @ columns
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(right)
        return torch.stack(losses).sum(), right

    @staticmethod
    @once_differentiable
    def backward(ctx, factor: Tensor, _) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * factor, None, None, None


def _score(scores: Tensor, label: Tensor, weight: Tensor, with_gradient: bool) -> tuple[Tensor, Tensor]:
    """The weighted loss of a strip, C x R x W, and where it is right; ``scores`` becomes the gradient, or rubbish."""
    highest = scores.amax(dim=0)
    of_label = scores.gather(0, label[None])[0]
    shares = scores.sub_(highest).exp_()
    total = shares.sum(dim=0)
    loss = ((total.log() + highest - of_label) * weight).sum()
    if with_gradient:  # weight x (softmax - one-hot)
        shares.mul_(weight / total).scatter_add_(0, label[None], -weight[None])
    return loss, of_label == highest
