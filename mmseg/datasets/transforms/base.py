"""What every transform here shares: how it shows its arguments, checks them and finds the annotations.

A transform takes and returns one dict, ``results``. Images are ``results['img']``, H x W x 3, uint8, BGR;
annotations are H x W integer maps under the keys listed in ``results['seg_fields']``. Random decisions
come from numpy's global generator, as in ``mmcv.transforms``.
"""

import inspect

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmseg.utils.errors import ArgumentError, require  # noqa: F401 (the transforms beside this check with it)


def is_number(value) -> bool:
    """Whether ``value`` is a plain int or float; True and False are not numbers here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_positive_int(value) -> bool:
    """Whether ``value`` is an int above 0; True is not."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def as_pair(value) -> tuple:
    """``(v, v)`` of a single value, the tuple of a list or tuple (its length is not checked)."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


class Transform(BaseTransform):
    """A transform whose ``repr()`` is its constructor call.

    Subclasses keep each constructor argument in the attribute of the same name.
    """

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self)).parameters)
        arguments = ', '.join(f'{name}={getattr(self, name)!r}' for name in names)
        return f'{type(self).__name__}({arguments})'


def annotation_keys(results: dict) -> list[str]:
    """The keys of ``results`` that hold annotations: ``seg_fields``, and ``gt_seg_map`` where present.

    mmcv's transforms go by ``gt_seg_map``, mmsegmentation's by ``seg_fields``. Heeding both keeps image
    and annotation together whoever wrote the dict.
    """
    keys = list(results.get('seg_fields', []))
    if results.get('gt_seg_map') is not None and 'gt_seg_map' not in keys:
        keys.append('gt_seg_map')
    return keys


def aligned_annotation_keys(results: dict, transform: str) -> list[str]:
    """:func:`annotation_keys`, after making sure that each annotation has the size of the image.

    Raises:
        ValueError: an annotation has another size, so that one window cannot fit both.
    """
    height, width = results['img'].shape[:2]
    keys = annotation_keys(results)
    for key in keys:
        rows, columns = results[key].shape[:2]
        if (rows, columns) != (height, width):
            raise ValueError(
                f"{transform} needs image and annotation of one size. Of '{results.get('img_path')}', the "
                f"image is {height}x{width} (height x width) and '{key}' is {rows}x{columns}. "
                'AlignResize, which leaves annotations alone, belongs into test pipelines only.'
            )
    return keys


def count_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which values an integer map holds, ascending, and how often each occurs."""
    if labels.dtype == np.uint8 and labels.size:
        # several times faster than np.unique or np.bincount
        counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256]).ravel()
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(labels, return_counts=True)
