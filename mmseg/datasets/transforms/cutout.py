from collections.abc import Sequence

import numpy as np
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import Transform, aligned_annotation_keys, is_number, require


@TRANSFORMS.register_module()
class RandomCutOut(Transform):
    """Cover random rectangles of the image with a colour (DeVries and Taylor, arXiv 1708.04552).

    A rectangle begins anywhere in the image, and ends at its border at last. Updates ``img`` and, with
    ``seg_fill_in``, the annotations.

    Args:
        prob: Probability of doing so.
        n_holes: How many rectangles; (lowest, highest) for a random number.
        cutout_shape: Their size, (width, height) in pixels, or a list of sizes, one of which is drawn for each.
        cutout_ratio: Instead of ``cutout_shape``, in shares of the image's width and height.
        fill_in: Value of the pixels, one number or one a channel.
        seg_fill_in: Label of the pixels; None leaves annotations as they are.
    """

    def __init__(
        self,
        prob: float,
        n_holes: int | tuple[int, int],
        cutout_shape: Sequence | None = None,
        cutout_ratio: Sequence | None = None,
        fill_in: float | Sequence[float] = (0, 0, 0),
        seg_fill_in: int | None = None,
    ) -> None:
        require(is_number(prob) and 0 <= prob <= 1, f'RandomCutOut: prob is from 0 to 1, not {prob!r}.')
        require(
            (cutout_shape is None) != (cutout_ratio is None),
            'RandomCutOut takes either cutout_shape or cutout_ratio.',
        )
        low, high = (n_holes, n_holes) if isinstance(n_holes, int) else n_holes
        require(
            isinstance(low, int) and isinstance(high, int) and 0 <= low <= high,
            f'RandomCutOut: n_holes is a whole number or (lowest, highest), not {n_holes!r}.',
        )
        sizes = cutout_ratio if cutout_shape is None else cutout_shape
        sizes = [sizes] if isinstance(sizes, (list, tuple)) and sizes and is_number(sizes[0]) else sizes
        require(
            bool(sizes) and all(len(size) == 2 and min(size) >= 0 for size in sizes),
            f'RandomCutOut: a size is (width, height), or a list of such, not {sizes!r}.',
        )
        require(
            seg_fill_in is None or (isinstance(seg_fill_in, int) and 0 <= seg_fill_in <= 255),
            f'RandomCutOut: seg_fill_in is a label from 0 to 255, not {seg_fill_in!r}.',
        )
        self.prob = prob
        self.n_holes = n_holes
        self.cutout_shape, self.cutout_ratio = cutout_shape, cutout_ratio
        self.fill_in = fill_in
        self.seg_fill_in = seg_fill_in
        self._count, self._sizes = (low, high), sizes

    @cache_randomness
    def _choose_holes(self, height: int, width: int) -> list[tuple[slice, slice]]:
        if np.random.rand() >= self.prob:
            return []
        holes = []
        for _ in range(np.random.randint(self._count[0], self._count[1] + 1)):
            left, top = np.random.randint(width), np.random.randint(height)
            across, down = self._sizes[np.random.randint(len(self._sizes))]
            if self.cutout_ratio is not None:
                across, down = int(across * width), int(down * height)
            holes.append((slice(top, top + down), slice(left, left + across)))
        return holes

    def transform(self, results: dict) -> dict:
        holes = self._choose_holes(*results['img'].shape[:2])
        keys = [] if self.seg_fill_in is None else aligned_annotation_keys(results, 'RandomCutOut')
        for key in ('img', *keys) if holes else ():
            results[key] = results[key].copy()
            for hole in holes:
                results[key][hole] = self.fill_in if key == 'img' else self.seg_fill_in
        return results
