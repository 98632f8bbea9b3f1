"""Losses of coarse scores at the size of the labels, for which full-size scores are never there as a whole.

What a loss adds up over pixels can be added up strip by strip. A strip's scores are computed again for its gradient,
so that memory is that of one strip, whatever the number of classes.

Legend: B images, C classes, coarse h x w, labels H x W; a strip of R rows.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..layers import full_precision, strips
from ..layers.deterministic import resize_matrix


def strips_and_reads(
    numbers_a_column: int, size: tuple[int, int], coarse_rows: int, align_corners: bool, device: torch.device
) -> Iterator[tuple[slice, slice]]:
    """Slices of the labels' rows, H x W in ``size``, and of the coarse rows that each of them reads."""
    height, width = size
    reads = None if coarse_rows == height else resize_matrix(coarse_rows, height, align_corners) != 0
    for strip in strips(height, numbers_a_column * width, device):
        if reads is None:
            yield strip, strip
        else:
            read = reads[strip].any(dim=0).nonzero().squeeze(1).tolist()
            yield strip, slice(read[0], read[-1] + 1)


def sum_over_strips(
    terms: Callable[[Tensor, Tensor], Tensor], scores: Tensor, label: Tensor, align_corners: bool = False
) -> Tensor:
    """The sum of ``terms(resized scores, labels)`` over strips of rows.

    Args:
        terms: B x C x R x W and B x R x W -> a tensor of one shape for all strips, which draws no random numbers.
        scores: B x C x h x w.
        label: B x H x W.
        align_corners: of the bilinear resize.
    """
    resize, parts = _resizing(scores, label, align_corners)

    def of_strip(coarse: Tensor, strip: slice, read: slice) -> Tensor:
        with full_precision(coarse):
            return terms(resize(coarse, strip, read), label[:, strip])

    return torch.stack(
        [
            checkpoint(of_strip, scores[:, :, read], strip, read, use_reentrant=False, preserve_rng_state=False)
            for strip, read in parts
        ]
    ).sum(dim=0)


@torch.no_grad()
def map_over_strips(
    function: Callable[[Tensor, Tensor], Tensor], scores: Tensor, label: Tensor, align_corners: bool = False
) -> Tensor:
    """``function(resized scores, labels)`` of all strips, B x H x W; without gradients."""
    resize, parts = _resizing(scores, label, align_corners)
    with full_precision(scores):
        rows = [function(resize(scores[:, :, read], strip, read), label[:, strip]) for strip, read in parts]
    return torch.cat(rows, dim=1)


def of_the_label(scores: Tensor, label: Tensor) -> Tensor:
    """Each pixel's score for its label, B x H x W; where that is no class, the score for another."""
    return scores.gather(1, label.clamp(0, scores.shape[1] - 1)[:, None])[:, 0]


def is_right(scores: Tensor, label: Tensor) -> Tensor:
    """Where no class has a higher score than the label, B x H x W bool; where that is no class, anything."""
    return of_the_label(scores, label) == scores.amax(dim=1)


def _resizing(scores: Tensor, label: Tensor, align_corners: bool) -> tuple[Callable, list[tuple[slice, slice]]]:
    rows, columns = (
        None if old == new else resize_matrix(old, new, align_corners, scores.dtype, scores.device)
        for old, new in zip(scores.shape[2:], label.shape[1:], strict=True)
    )

    def resize(coarse: Tensor, strip: slice, read: slice) -> Tensor:
        wide = coarse if columns is None else coarse @ columns.T
        return wide if rows is None else rows[strip, read] @ wide

    B, C, h, _ = scores.shape
    return resize, list(strips_and_reads(B * C, tuple(label.shape[1:]), h, align_corners, scores.device))
