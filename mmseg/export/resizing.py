"""The resizes of a test pipeline, as sizes that a graph computes from an image's own."""

from collections.abc import Callable, Sequence

import torch

from mmseg.models.layers.exporting import scalars

Size = Callable[[int, int, torch.device], list[int]]  # height, width of an image -> those that it gets
NO_PIXELS = {'LoadImageFromFile', 'LoadImageFromNDArray', 'LoadAnnotations', 'PackSegInputs'}


def resizes_of(pipeline: Sequence[dict]) -> list[Size]:
    """One function for each resize, in order.

    Raises:
        ValueError: a step changes pixels in another way; the message names it.
    """
    sizes = []
    for step in pipeline:
        kind = str(step['type']).rsplit('.', 1)[-1]
        if kind in RESIZES:
            sizes += RESIZES[kind](**{key: value for key, value in step.items() if key != 'type'})
        elif kind not in NO_PIXELS:
            known = ', '.join(RESIZES)
            raise ValueError(
                f'the test pipeline has {kind}, which no graph does: export the network alone (--input normalised), or '
                f'with a pipeline whose steps are of {known}'
            )
    return sizes


def _resize(scale=None, scale_factor=None, keep_ratio: bool = False, **_) -> list[Size]:
    """mmcv's ``Resize``: a size or scale is (width, height)."""
    if scale_factor is not None:
        return [_by_factor(scale_factor)]
    return [_within(scale) if keep_ratio else _to(scale)]


def _align(scale=None, scale_factor=None, size_divisor: int = 32, keep_ratio: bool = True, **_) -> list[Size]:
    return [*_resize(scale, scale_factor, keep_ratio), _to_multiple((size_divisor, size_divisor))]


def _multiple(size_divisor=32, **_) -> list[Size]:
    return [_to_multiple(_pair(size_divisor))]


RESIZES = {'Resize': _resize, 'AlignResize': _align, 'ResizeToMultiple': _multiple}


def _pair(value) -> tuple:
    return (value, value) if isinstance(value, (int, float)) else tuple(value)


def _to(scale) -> Size:
    width, height = _pair(scale)
    return lambda H, W, device: [height, width]


def _by_factor(factor) -> Size:
    """Rounded to the nearest, halves up; a factor as a fraction of a thousand thousand."""
    width, height = (round(number * 10**6) for number in _pair(factor))
    return _computed(lambda H, W: [(2 * H * height + 10**6) // (2 * 10**6), (2 * W * width + 10**6) // (2 * 10**6)])


def _within(scale) -> Size:
    """As large as possible, the longer side at most the larger number and the shorter one at most the smaller."""
    short, long = sorted(_pair(scale))

    def sides(H, W) -> list:
        shorter = _smaller(H, W)
        longer = H + W - shorter
        # The smaller factor gives the smaller side, since rounding keeps the order.
        return [
            _smaller((2 * side * long + longer) // (2 * longer), (2 * side * short + shorter) // (2 * shorter))
            for side in (H, W)
        ]

    return _computed(sides)


def _to_multiple(divisors: tuple[int, int]) -> Size:
    """Up to the next multiple of (width's, height's)."""
    width, height = divisors
    return _computed(lambda H, W: [(H + height - 1) // height * height, (W + width - 1) // width * width])


def _smaller(a, b):
    """Of whole numbers or tensors of them."""
    return (a + b - abs(a - b)) // 2


def _computed(sides: Callable) -> Size:
    """A size from one; of symbols by tensors, see ``mmseg.models.layers.exporting``."""

    def size(H: int, W: int, device: torch.device) -> list[int]:
        if isinstance(H, int) and isinstance(W, int):
            return sides(H, W)
        lengths = torch.stack(sides(*scalars((H, W), device))).tolist()
        for length in lengths:
            torch._check(length >= 1)
        return lengths

    return size
