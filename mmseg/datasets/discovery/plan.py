"""Sizes, batch and schedule for a number of images of some size, and for the machine."""

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

STEP = 32  # the network's coarsest stride: sides are multiples of it


@dataclass(frozen=True)
class Plan:
    """What a config trains.

    Attributes:
        variant: of LRFormer.
        crop: (height, width) of a training sample.
        scale: (longer, shorter side) that images are resized into before that.
        batch: images of an iteration.
        iterations: of the training.
        lr: learning rate.
        head_factor: the head's is that many times as high.
        warmup: iterations of growing learning rate.
        start: published model to start from; None for random weights.
        reason: in words.
    """

    variant: str
    crop: tuple[int, int]
    scale: tuple[int, int]
    batch: int
    iterations: int
    lr: float
    head_factor: float
    warmup: int
    start: str | None
    reason: str


def plan(
    train_images: int,
    sizes: Counter,
    gpu: bool,
    start: str | None,
    variant: str | None = None,
    iterations: int | None = None,
    size: int | None = None,
) -> Plan:
    """A sensible start; every number of it is a line of the config.

    With a GPU: LRFormer-T, crops of 512, between 4,000 and 80,000 iterations of 16 images, so that each image is seen
    about 100 times. Without: LRFormer-N on images reduced to 192 on the shorter side, at most 700 iterations of 8, for
    a first score soon.

    Args:
        train_images: how many.
        sizes: (height, width) -> images.
        gpu: whether there is one.
        start: published model to start from.
        variant: another one of LRFormer's.
        iterations: another number.
        size: another length of the images' shorter side.
    """
    height, width = _median(sizes)
    shorter, longer = min(height, width), max(height, width)
    variant = variant or ('t' if gpu else 'n')
    size = size or min(shorter, 1024 if gpu else 192)
    factor = size / shorter
    limit = 512 if gpu else 256
    crop = tuple(_multiple(min(limit, side * factor)) for side in (height, width))
    batch = 16 if gpu else 8
    if not iterations:
        rounds, least, most = (100, 4000, 80000) if gpu else (15, 200, 700)
        iterations = int(min(max(rounds * train_images / batch, least), most))
        iterations = max(100, round(iterations, -2))
    reason = f'{train_images} training images of about {height}x{width}, ' + ('a GPU' if gpu else 'no GPU')
    return Plan(
        variant,
        crop,
        (max(size, round(longer * factor)), size),
        batch,
        iterations,
        lr=6e-5 if start else 1e-3,
        head_factor=10.0 if start else 1.0,
        warmup=min(1500, max(1, iterations // 10)),
        start=start,
        reason=reason,
    )


def _median(sizes: Counter) -> tuple[int, int]:
    def middle(axis: int) -> int:
        sides = sorted((size[axis], count) for size, count in sizes.items())
        ends = list(accumulate(count for _, count in sides))
        return next(side for (side, _), end in zip(sides, ends, strict=True) if 2 * end >= ends[-1])

    return middle(0), middle(1)


def _multiple(side: float) -> int:
    return max(2 * STEP, round(side / STEP) * STEP)
