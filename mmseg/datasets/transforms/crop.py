import numpy as np
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import (
    Transform,
    aligned_annotation_keys,
    as_pair,
    count_labels,
    is_number,
    is_positive_int,
    require,
)

TRIES = 10


@TRANSFORMS.register_module()
class RandomCrop(Transform):
    """Cut a random window out of the image and its annotations.

    An image smaller than the window stays as it is along that side: the data preprocessor pads it.
    Updates ``img``, ``img_shape`` and the annotations.

    Args:
        crop_size: Size of the window: (height, width), or one number for both.
        cat_max_ratio: No class may hold this share of the window's labelled pixels or more. Ten windows are
            tried, and the last one is taken. 1 allows any window.
        ignore_index: Label of pixels that count as not labelled.
    """

    def __init__(self, crop_size: int | tuple[int, int], cat_max_ratio: float = 1.0, ignore_index: int = 255) -> None:
        self.crop_size = as_pair(crop_size)
        require(
            len(self.crop_size) == 2 and all(is_positive_int(size) for size in self.crop_size),
            f'RandomCrop: crop_size is a positive number or (height, width), not {crop_size!r}.',
        )
        require(
            is_number(cat_max_ratio) and 0 < cat_max_ratio <= 1,
            f'RandomCrop: cat_max_ratio is a share above 0 and at most 1, not {cat_max_ratio!r}.',
        )
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    @cache_randomness
    def _choose_window(self, img: np.ndarray, labels: np.ndarray | None) -> tuple[slice, slice]:
        window = self._random_window(img)
        if labels is None or self.cat_max_ratio == 1:
            return window
        for _ in range(TRIES - 1):
            if self._is_mixed(labels[window]):
                break
            window = self._random_window(img)
        return window

    def _random_window(self, img: np.ndarray) -> tuple[slice, slice]:
        starts = [
            np.random.randint(max(size - crop, 0) + 1) for size, crop in zip(img.shape[:2], self.crop_size, strict=True)
        ]
        return tuple(slice(start, start + crop) for start, crop in zip(starts, self.crop_size, strict=True))

    def _is_mixed(self, labels: np.ndarray) -> bool:
        values, counts = count_labels(labels)
        counts = counts[values != self.ignore_index]
        return counts.size > 0 and counts.max() < self.cat_max_ratio * counts.sum()

    def transform(self, results: dict) -> dict:
        keys = aligned_annotation_keys(results, 'RandomCrop')
        window = self._choose_window(results['img'], results.get('gt_seg_map'))
        for key in ('img', *keys):
            results[key] = results[key][window]
        results['img_shape'] = results['img'].shape[:2]
        return results
