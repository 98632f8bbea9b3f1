"""Resizes that mmcv does not have. As there, a size or scale is (width, height), a shape (height, width)."""

import math

import mmcv
import numpy as np
from mmcv.transforms import Resize

from mmseg.registry import TRANSFORMS

from .base import Transform, annotation_keys, as_pair, is_number, is_positive_int, require


@TRANSFORMS.register_module()
class AlignResize(Transform):
    """The resize that the published numbers were measured with; for test pipelines.

    Two bilinear resizes in sequence: to ``scale``, then a stretch of each side up to its next multiple of
    ``size_divisor``. So the network's input needs no padding. Annotations keep their own size.
    Updates ``img`` and ``img_shape``, sets ``scale_factor`` (width, height; of both resizes together) and
    ``keep_ratio``.

    Args:
        scale: With ``keep_ratio``, mmcv's rule: as large as possible with the longer side at most the larger
            number and the shorter side at most the smaller one. Without, the (width, height) to resize to.
            One number means both.
        scale_factor: Factor instead of ``scale``: one, or (of the width, of the height).
        size_divisor: What both sides end up a multiple of.
        keep_ratio: Whether the first resize keeps the aspect ratio; needs ``scale``.
        backend: 'cv2' or 'pillow'.
        interpolation: As for :func:`mmcv.imresize`.
    """

    def __init__(
        self,
        scale: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        size_divisor: int = 32,
        keep_ratio: bool = True,
        backend: str = 'cv2',
        interpolation: str = 'bilinear',
    ) -> None:
        require(
            (scale is None) != (scale_factor is None),
            f'AlignResize takes either scale or scale_factor, not scale={scale!r} and scale_factor={scale_factor!r}.',
        )
        self.scale = None if scale is None else as_pair(scale)
        require(
            scale is None or (len(self.scale) == 2 and all(is_positive_int(side) for side in self.scale)),
            f'AlignResize: scale is a positive integer or two, not {scale!r}.',
        )
        self.scale_factor = None if scale_factor is None else as_pair(scale_factor)
        require(
            scale_factor is None
            or (len(self.scale_factor) == 2 and all(is_number(f) and f > 0 for f in self.scale_factor)),
            f'AlignResize: scale_factor is a positive number or two, not {scale_factor!r}.',
        )
        require(
            is_positive_int(size_divisor),
            f'AlignResize: size_divisor is a positive integer, not {size_divisor!r}.',
        )
        self.size_divisor = size_divisor
        self.keep_ratio = keep_ratio
        self.backend = backend
        self.interpolation = interpolation

    def _first_size(self, width: int, height: int) -> tuple[int, int]:
        if self.scale_factor is not None:
            size = (width * self.scale_factor[0] + 0.5, height * self.scale_factor[1] + 0.5)
        elif self.keep_ratio:
            size = mmcv.rescale_size((width, height), self.scale)
        else:
            size = self.scale
        return tuple(max(int(side), 1) for side in size)

    def transform(self, results: dict) -> dict:
        img = results['img']
        height, width = img.shape[:2]
        size = self._first_size(width, height)
        img = self._resize(img, size)
        size = tuple(math.ceil(side / self.size_divisor) * self.size_divisor for side in size)
        results['img'] = self._resize(img, size)
        results['img_shape'] = results['img'].shape[:2]
        results['scale_factor'] = (size[0] / width, size[1] / height)
        results['keep_ratio'] = self.keep_ratio
        return results

    def _resize(self, img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return mmcv.imresize(img, size, interpolation=self.interpolation, backend=self.backend)


@TRANSFORMS.register_module()
class ResizeToMultiple(Transform):
    """Resize each side of the image and its annotations up to its next multiple of ``size_divisor``.

    Updates ``img``, ``img_shape``, ``pad_shape`` and the annotations (nearest).

    Args:
        size_divisor: What both sides end up a multiple of: one number, or (of the width, of the height).
        interpolation: Of the image, as for :func:`mmcv.imresize`. None means bilinear.
    """

    def __init__(self, size_divisor: int | tuple[int, int] = 32, interpolation: str | None = None) -> None:
        sides = as_pair(size_divisor)
        require(
            len(sides) == 2 and all(is_positive_int(side) for side in sides),
            f'ResizeToMultiple: size_divisor is a positive integer or two, not {size_divisor!r}.',
        )
        self.size_divisor = size_divisor
        self.interpolation = interpolation

    def transform(self, results: dict) -> dict:
        results['img'] = self._resize(results['img'], self.interpolation or 'bilinear')
        results['img_shape'] = results['pad_shape'] = results['img'].shape[:2]
        for key in annotation_keys(results):
            results[key] = self._resize(results[key], 'nearest')
        return results

    def _resize(self, array: np.ndarray, interpolation: str) -> np.ndarray:
        divisor = as_pair(self.size_divisor)
        return mmcv.imresize_to_multiple(array, divisor, scale_factor=1, interpolation=interpolation)


@TRANSFORMS.register_module()
class ResizeShortestEdge(Transform):
    """Resize the shorter side to ``scale``, or to less where the longer one would exceed ``max_size``.

    The aspect ratio is kept. Updates what :class:`mmcv.transforms.Resize` updates, among it the annotation
    (nearest). To draw the scale at random:
    ``RandomChoiceResize(resize_type='ResizeShortestEdge', scales=[...], max_size=...)``.

    Args:
        scale: Length of the shorter side; of two numbers, the smaller. 0 stands for a scale that is set
            later, as mmcv's random resizes do.
        max_size: Highest length of the longer side.
    """

    def __init__(self, scale: int | tuple[int, int], max_size: int) -> None:
        require(
            all(side == 0 or is_positive_int(side) for side in as_pair(scale)),
            f'ResizeShortestEdge: scale is a positive integer or two, not {scale!r}.',
        )
        require(
            is_positive_int(max_size),
            f'ResizeShortestEdge: max_size is a positive integer, not {max_size!r}.',
        )
        self.scale = scale
        self.max_size = max_size

    def transform(self, results: dict) -> dict:
        shortest = min(as_pair(self.scale))
        require(shortest > 0, 'ResizeShortestEdge: scale is 0, and nothing set it.')
        height, width = results['img'].shape[:2]
        factor = min(shortest / min(height, width), self.max_size / max(height, width))
        size = tuple(max(int(side * factor + 0.5), 1) for side in (width, height))
        results = Resize(scale=size, keep_ratio=False)(results)
        results['keep_ratio'] = True
        return results


@TRANSFORMS.register_module()
class SegRescale(Transform):
    """Resize the annotations alone (nearest), by a factor: for networks whose scores have another size than the image.

    Args:
        scale_factor: Factor of both sides.
    """

    def __init__(self, scale_factor: float = 1) -> None:
        require(
            is_number(scale_factor) and scale_factor > 0,
            f'SegRescale: scale_factor is a number above 0, not {scale_factor!r}.',
        )
        self.scale_factor = scale_factor

    def transform(self, results: dict) -> dict:
        for key in annotation_keys(results) if self.scale_factor != 1 else ():
            size = tuple(max(int(side * self.scale_factor + 0.5), 1) for side in results[key].shape[1::-1])
            results[key] = mmcv.imresize(results[key], size, interpolation='nearest')
        return results
