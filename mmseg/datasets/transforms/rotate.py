import mmcv
import numpy as np
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import Transform, aligned_annotation_keys, is_number, require


@TRANSFORMS.register_module()
class RandomRotate(Transform):
    """Rotate the image (bilinear) and its annotations (nearest) by a random angle.

    Updates ``img``, ``img_shape`` and the annotations.

    Args:
        prob: Probability of rotating at all.
        degree: Range of the angle in degrees, clockwise; one number means (-degree, degree).
        pad_val: Value of image pixels that come from outside.
        seg_pad_val: Label of annotation pixels that come from outside.
        center: (x, y) in the source image to turn about. None is the middle of the image.
        auto_bound: Enlarge the image to hold all of the rotated one. Excludes ``center``.
    """

    def __init__(
        self,
        prob: float,
        degree: float | tuple[float, float],
        pad_val: float = 0,
        seg_pad_val: int = 255,
        center: tuple[float, float] | None = None,
        auto_bound: bool = False,
    ) -> None:
        require(is_number(prob) and 0 <= prob <= 1, f'RandomRotate: prob is from 0 to 1, not {prob!r}.')
        if is_number(degree):
            require(degree > 0, f'RandomRotate: one degree is above 0, not {degree!r}.')
            degree = (-degree, degree)
        require(
            isinstance(degree, (list, tuple)) and len(degree) == 2 and all(is_number(d) for d in degree),
            f'RandomRotate: degree is a number or (lowest, highest), not {degree!r}.',
        )
        require(center is None or len(center) == 2, f'RandomRotate: center is (x, y), not {center!r}.')
        require(center is None or not auto_bound, 'RandomRotate: center and auto_bound exclude each other.')
        self.prob = prob
        self.degree = tuple(degree)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.center = center if center is None else tuple(center)
        self.auto_bound = auto_bound

    @cache_randomness
    def _choose_angle(self) -> float | None:
        if np.random.rand() >= self.prob:
            return None
        return np.random.uniform(min(self.degree), max(self.degree))

    def transform(self, results: dict) -> dict:
        angle = self._choose_angle()
        return results if angle is None else self.by(angle, results)

    def by(self, angle: float, results: dict) -> dict:
        """Rotate by an angle in degrees, clockwise."""
        keys = aligned_annotation_keys(results, 'RandomRotate')
        # OpenCV would pad only the first channel with a single number
        results['img'] = self._rotate(results['img'], angle, (self.pad_val,) * 4, 'bilinear')
        for key in keys:
            results[key] = self._rotate(results[key], angle, self.seg_pad_val, 'nearest')
        results['img_shape'] = results['img'].shape[:2]
        return results

    def _rotate(self, array: np.ndarray, angle: float, border_value, interpolation: str) -> np.ndarray:
        return mmcv.imrotate(
            array,
            angle,
            center=self.center,
            border_value=border_value,
            interpolation=interpolation,
            auto_bound=self.auto_bound,
        )


@TRANSFORMS.register_module()
class RandomRotFlip(Transform):
    """Rotate by a small angle, or by quarters of a turn with a flip after it, or not at all.

    Updates ``img``, ``img_shape`` and the annotations; what comes from outside is 0 in the image and ignored.

    Args:
        rotate_prob: Probability of the small angle.
        flip_prob: Where that did not happen, probability of 0 to 3 quarters and a flip, up-down or left-right.
        degree: Range of the angle in degrees; one number means (-degree, degree).
        seg_pad_val: Label of annotation pixels that come from outside.
    """

    def __init__(
        self,
        rotate_prob: float = 0.5,
        flip_prob: float = 0.5,
        degree: float | tuple[float, float] = (-20, 20),
        seg_pad_val: int = 255,
    ) -> None:
        for name, value in (('rotate_prob', rotate_prob), ('flip_prob', flip_prob)):
            require(is_number(value) and 0 <= value <= 1, f'RandomRotFlip: {name} is from 0 to 1, not {value!r}.')
        self._rotate = RandomRotate(1.0, degree, seg_pad_val=seg_pad_val)
        self.rotate_prob, self.flip_prob = rotate_prob, flip_prob
        self.degree = self._rotate.degree
        self.seg_pad_val = seg_pad_val

    @cache_randomness
    def _choose(self) -> tuple[float | None, int, int | None]:
        """Angle, quarters of a turn, axis of the flip."""
        if np.random.rand() < self.rotate_prob:
            return np.random.uniform(*sorted(self.degree)), 0, None
        if np.random.rand() < self.flip_prob:
            return None, np.random.randint(4), np.random.randint(2)
        return None, 0, None

    def transform(self, results: dict) -> dict:
        angle, quarters, axis = self._choose()
        if angle is not None:
            return self._rotate.by(angle, results)
        for key in ('img', *aligned_annotation_keys(results, 'RandomRotFlip')) if axis is not None else ():
            results[key] = np.ascontiguousarray(np.flip(np.rot90(results[key], quarters), axis))
        results['img_shape'] = results['img'].shape[:2]
        return results
