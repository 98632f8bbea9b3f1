from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import Transform, is_number, require

HUES = 180  # OpenCV's 8-bit hue counts in steps of 2 degrees


@TRANSFORMS.register_module()
class PhotoMetricDistortion(Transform):
    """Change brightness, contrast, saturation and hue of a BGR uint8 image, each with probability 0.5.

    Contrast comes right after brightness or, as often, last. Values are cut off at 0 and 255 and
    truncated to integers after each step, as in the published training. Annotations are not touched.

    Every step is a table of 256 entries, so nothing is computed in floating point per pixel.

    Args:
        brightness_delta: A number from (-delta, delta) is added.
        contrast_range: (lowest, highest) factor of the image.
        saturation_range: (lowest, highest) factor of the saturation.
        hue_delta: An integer from -delta to delta, both included, is added to the hue (0 to 179, a circle).
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
    ) -> None:
        require(
            is_number(brightness_delta) and brightness_delta >= 0,
            f'PhotoMetricDistortion: brightness_delta is 0 or more, not {brightness_delta!r}.',
        )
        require(
            isinstance(hue_delta, int) and 0 <= hue_delta <= HUES,
            f'PhotoMetricDistortion: hue_delta is an integer from 0 to {HUES}, not {hue_delta!r}.',
        )
        self.brightness_delta = brightness_delta
        self.contrast_range = _checked_range('contrast_range', contrast_range)
        self.saturation_range = _checked_range('saturation_range', saturation_range)
        self.hue_delta = hue_delta

    @cache_randomness
    def _choose(self) -> tuple[float, float, bool, float, int]:
        """brightness offset, contrast factor, whether contrast comes first, saturation factor, hue offset"""
        brightness = np.random.uniform(-self.brightness_delta, self.brightness_delta) if _coin() else 0.0
        contrast_first = _coin()
        contrast = np.random.uniform(*self.contrast_range) if _coin() else 1.0
        saturation = np.random.uniform(*self.saturation_range) if _coin() else 1.0
        hue = np.random.randint(-self.hue_delta, self.hue_delta + 1) if _coin() else 0
        return brightness, contrast, contrast_first, saturation, hue

    def transform(self, results: dict) -> dict:
        img = results['img']
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise ValueError(
                f"PhotoMetricDistortion needs an H x W x 3 uint8 image, but '{results.get('img_path')}' is "
                f'{img.dtype} of shape {img.shape}. Load it with to_float32=False and color_type="color".'
            )
        brightness, contrast, contrast_first, saturation, hue = self._choose()
        first, last = _table(1.0, brightness), _table(contrast, 0.0)
        if contrast_first:
            first, last = last[first], _table(1.0, 0.0)
        img = cv2.LUT(img, first)
        if saturation != 1 or hue != 0:
            img = _shift_colour(img, saturation, hue)
        results['img'] = cv2.LUT(img, last)
        return results


def _coin() -> bool:
    return np.random.randint(2) == 1


def _checked_range(name: str, value: Sequence[float]) -> tuple[float, float]:
    good = isinstance(value, (list, tuple)) and len(value) == 2 and all(is_number(v) for v in value)
    require(
        good and 0 <= value[0] <= value[1],
        f'PhotoMetricDistortion: {name} is (lowest, highest) with 0 <= lowest <= highest, not {value!r}.',
    )
    return tuple(value)


def _table(factor: float, offset: float) -> np.ndarray:
    """``factor * value + offset`` of each of the 256 values, computed in float32, cut off and truncated."""
    values = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset)
    return values.clip(0, 255).astype(np.uint8)


def _shift_colour(img: np.ndarray, saturation: float, hue: int) -> np.ndarray:
    hue_table = ((np.arange(256) + hue) % HUES).astype(np.uint8)
    tables = np.dstack([hue_table, _table(saturation, 0.0), _table(1.0, 0.0)])
    hsv = cv2.LUT(cv2.cvtColor(img, cv2.COLOR_BGR2HSV), tables)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
