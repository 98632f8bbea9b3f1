"""Samples made of several: for the pipeline of a :class:`~mmseg.datasets.MultiImageMixDataset`.

The dataset asks ``get_indices`` for the other samples' indices, and puts the samples into ``results['mix_results']``.
Image and annotations are mixed alike; an annotation's ignored pixels stay ignored wherever they go.
"""

from abc import abstractmethod
from collections.abc import Sequence

import mmcv
import numpy as np
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

from .base import Transform, aligned_annotation_keys, is_number, is_positive_int, require

MOSAIC = 3  # images beside the first


class Mix(Transform):
    """With probability ``prob``, a mixture with ``others`` samples of the dataset."""

    others = 1

    def get_indices(self, dataset) -> list[int]:
        """Indices of the other samples; none where the sample stays as it is."""
        return self._choose_indices(len(dataset)) if np.random.rand() < self.prob else []

    def _choose_indices(self, length: int) -> list[int]:
        return [np.random.randint(length) for _ in range(self.others)]

    def transform(self, results: dict) -> dict:
        name = type(self).__name__
        require(
            'mix_results' in results,
            f"{name} needs results['mix_results']: it belongs into the pipeline of a MultiImageMixDataset",
        )
        others = results['mix_results']
        if not others or not self.prob:
            return results
        require(len(others) == self.others, f'{name} mixes with {self.others} other samples, not {len(others)}')
        return self.mix(results, others, aligned_annotation_keys(results, name))

    @abstractmethod
    def mix(self, results: dict, others: list[dict], keys: list[str]) -> dict:
        """The mixture; ``keys`` are the annotations'."""

    def _check_prob(self, prob: float) -> None:
        require(is_number(prob) and 0 <= prob <= 1, f'{type(self).__name__}: prob is from 0 to 1, not {prob!r}.')
        self.prob = prob


@TRANSFORMS.register_module()
class RandomMosaic(Mix):
    """Four images around a random centre, on a canvas of twice ``img_scale``.

    Each is resized, aspect ratio kept, to fit ``img_scale``, and touches the centre with a corner; what reaches beyond
    the canvas is cut off. Updates ``img``, ``img_shape`` and the annotations.

    Args:
        prob: Probability of doing so.
        img_scale: Size of a quarter, (height, width).
        center_ratio_range: (lowest, highest) place of the centre, in units of ``img_scale``.
        pad_val: Value of image pixels that no image covers.
        seg_pad_val: Label of annotation pixels there.
    """

    others = MOSAIC

    def __init__(
        self,
        prob: float,
        img_scale: tuple[int, int] = (640, 640),
        center_ratio_range: tuple[float, float] = (0.5, 1.5),
        pad_val: float = 0,
        seg_pad_val: int = 255,
    ) -> None:
        self._check_prob(prob)
        pair = isinstance(img_scale, (list, tuple)) and len(img_scale) == 2
        require(
            pair and all(is_positive_int(side) for side in img_scale),
            f'RandomMosaic: img_scale is (height, width), not {img_scale!r}.',
        )
        low, high = center_ratio_range
        require(
            0 <= low <= high <= 2,
            f'RandomMosaic: center_ratio_range is (lowest, highest), 0 to 2, not {center_ratio_range!r}.',
        )
        self.img_scale = tuple(img_scale)
        self.center_ratio_range = tuple(center_ratio_range)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    @cache_randomness
    def _choose_center(self) -> tuple[int, int]:
        return tuple(int(side * np.random.uniform(*self.center_ratio_range)) for side in self.img_scale)

    def quarter_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of an image on the canvas."""
        factor = min(self.img_scale[0] / height, self.img_scale[1] / width)
        return max(int(height * factor), 1), max(int(width * factor), 1)

    def mix(self, results: dict, others: list[dict], keys: list[str]) -> dict:
        center = self._choose_center()
        size = tuple(2 * side for side in self.img_scale)
        samples = [results, *others]
        for sample in others:
            aligned_annotation_keys(sample, 'RandomMosaic')
        quarters = [self.quarter_size(*sample['img'].shape[:2]) for sample in samples]
        for key in ('img', *keys):
            value, interpolation = (self.pad_val, 'bilinear') if key == 'img' else (self.seg_pad_val, 'nearest')
            kind = np.result_type(*(sample[key].dtype for sample in samples))
            canvas = np.full((*size, *results[key].shape[2:]), value, kind)
            for i, (sample, (height, width)) in enumerate(zip(samples, quarters, strict=True)):
                piece = mmcv.imresize(sample[key], (width, height), interpolation=interpolation)
                piece = piece.reshape(height, width, *canvas.shape[2:])  # OpenCV drops an axis of one channel
                rows, part_rows = _beside(center[0], height, size[0], after=i >= 2)
                columns, part_columns = _beside(center[1], width, size[1], after=i % 2 == 1)
                canvas[rows, columns] = piece[part_rows, part_columns]
            results[key] = canvas
        results['img_shape'] = results['img'].shape[:2]
        return results


def _beside(center: int, length: int, limit: int, after: bool) -> tuple[slice, slice]:
    """Where a piece that begins (``after``) or ends at ``center`` lies within 0 to ``limit``, and which part of it."""
    start = center if after else center - length
    low, high = max(start, 0), min(start + length, limit)
    return slice(low, max(low, high)), slice(low - start, max(low, high) - start)


class Paste(Mix):
    """Pixels of another sample over this one's, at their places; where both images are."""

    def mix(self, results: dict, others: list[dict], keys: list[str]) -> dict:
        (other,) = others
        aligned_annotation_keys(other, type(self).__name__)
        common = tuple(
            slice(min(sides)) for sides in zip(results['img'].shape[:2], other['img'].shape[:2], strict=True)
        )
        chosen = self._choose_pixels(other['gt_seg_map'][common])
        for key in ('img', *keys):
            mixed = results[key].astype(np.result_type(results[key].dtype, other[key].dtype))
            mixed[common][chosen] = other[key][common][chosen]
            results[key] = mixed
        return results

    def _choose_pixels(self, labels: np.ndarray) -> np.ndarray:
        """Which pixels to take from a sample with these labels, H x W bool."""
        raise NotImplementedError  # mmcv's cache_randomness does not go with abstract methods


@TRANSFORMS.register_module()
class CutMix(Paste):
    """A rectangle of another image over this one (Yun et al., arXiv 1905.04899; French et al., arXiv 1906.01916).

    Args:
        prob: Probability of doing so.
        alpha: The rectangle's share of the image is drawn from Beta(alpha, alpha).
    """

    def __init__(self, prob: float = 0.5, alpha: float = 1.0) -> None:
        self._check_prob(prob)
        require(is_number(alpha) and alpha > 0, f'CutMix: alpha is above 0, not {alpha!r}.')
        self.alpha = alpha

    @cache_randomness
    def _choose_pixels(self, labels: np.ndarray) -> np.ndarray:
        side = np.sqrt(np.random.beta(self.alpha, self.alpha))
        chosen = np.zeros(labels.shape, bool)
        window = []
        for size in labels.shape:
            length = int(np.ceil(side * size))
            start = np.random.randint(size - length + 1)
            window.append(slice(start, start + length))
        chosen[tuple(window)] = True
        return chosen


@TRANSFORMS.register_module()
class ClassMix(Paste):
    """Half of another image's classes over this one (Olsson et al., arXiv 2007.07936).

    Args:
        prob: Probability of doing so.
        ignore_index: Label of pixels that are not taken.
    """

    def __init__(self, prob: float = 0.5, ignore_index: int = 255) -> None:
        self._check_prob(prob)
        self.ignore_index = ignore_index

    @cache_randomness
    def _choose_pixels(self, labels: np.ndarray) -> np.ndarray:
        present = np.unique(labels)
        present = present[present != self.ignore_index]
        return np.isin(labels, np.random.permutation(present)[: -(-len(present) // 2)])


@TRANSFORMS.register_module()
class CopyPaste(Paste):
    """All pixels of some classes of another image over this one (after Ghiasi et al., arXiv 2012.07177).

    The other image is one that has a class which is drawn first, each as likely as the others: rare classes become
    more frequent. Where the dataset does not say by ``get_cat_ids`` what is in its images, it is any.

    Args:
        classes: What is pasted: names, or class indices.
        prob: Probability of doing so.
    """

    def __init__(self, classes: Sequence[str | int], prob: float = 0.5) -> None:
        self._check_prob(prob)
        require(
            isinstance(classes, (list, tuple)) and len(classes) > 0,
            f'CopyPaste: classes is a list of names or indices, not {classes!r}.',
        )
        self.classes = tuple(classes)
        self._indices = None if any(isinstance(name, str) for name in classes) else list(classes)
        self._images: list[list[int]] = []  # of each class

    def prepare(self, dataset) -> None:
        """Look up the classes' indices and their images.

        Raises:
            ValueError: the dataset has no such class, or no image has one of them.
        """
        names = list((dataset.metainfo or {}).get('classes') or ())
        for name in self.classes:
            require(
                name in names if isinstance(name, str) else name in range(len(names) or name + 1),
                f'CopyPaste: {name!r} is no class of the dataset, which has {names}',
            )
        self._indices = [names.index(name) if isinstance(name, str) else name for name in self.classes]
        if hasattr(dataset, 'get_cat_ids'):
            present = [set(dataset.get_cat_ids(image)) for image in range(len(dataset))]
            images = [[image for image, found in enumerate(present) if index in found] for index in self._indices]
            self._images = [one for one in images if one]
            require(self._images != [], f'CopyPaste: no image of the dataset has a pixel of {self.classes}')

    def _choose_indices(self, length: int) -> list[int]:
        if not self._images:
            return super()._choose_indices(length)
        images = self._images[np.random.randint(len(self._images))]
        return [images[np.random.randint(len(images))]]

    @cache_randomness
    def _choose_pixels(self, labels: np.ndarray) -> np.ndarray:
        require(self._indices is not None, 'CopyPaste: classes by name need prepare(dataset), for their indices')
        return np.isin(labels, self._indices)
