"""Datasets made of datasets: joined, repeated, repeated by how rare the classes of an image are, and mixed.

The first three are mmengine's, with three differences: parts may be wrappers themselves, also as objects; what must be
equal between joined parts is what a model sees of them; and the classes of all images are asked for once.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from mmengine.dataset import BaseDataset
from mmengine.dataset import ClassBalancedDataset as _ClassBalancedDataset
from mmengine.dataset import ConcatDataset as _ConcatDataset
from mmengine.dataset import RepeatDataset as _RepeatDataset
from torch.utils.data import Dataset

from mmseg.registry import DATASETS

from .transforms.building import build_steps


def _build(dataset: BaseDataset | dict) -> BaseDataset:
    return DATASETS.build(dataset) if isinstance(dataset, dict) else dataset


@DATASETS.register_module()
class ConcatDataset(_ConcatDataset):
    """Datasets one after the other, each with its own folders, label values and pipeline.

    The classes, their order and the ignored label must agree, as a model sees nothing else: one folder may have masks
    of 0 and 1 and another of 0 and 255 with its own ``label_map``. Colours are the first part's; ``metainfo`` has of
    the rest what all parts share.

    Args:
        datasets: the parts, or their configs.
        lazy_init: leave finding files to ``full_init``; parts have their own such argument.
        ignore_keys: keys of ``metainfo`` not to compare. Only 'classes' is compared.

    Raises:
        ValueError: two parts differ in classes or ignored label.
    """

    def __init__(
        self,
        datasets: Sequence[BaseDataset | dict],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] | None = None,
    ) -> None:
        self.datasets = [_build(dataset) for dataset in datasets]
        if not self.datasets:
            raise ValueError('ConcatDataset needs at least one dataset')
        self.ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else list(ignore_keys or ())
        for number, part in enumerate(self.datasets):
            self._compare(number, part)
        metas = [part.metainfo for part in self.datasets]
        self._metainfo = {
            key: value
            for key, value in metas[0].items()
            if key in ('classes', 'palette') or all(key in meta and meta[key] == value for meta in metas)
        }
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _compare(self, number: int, part: BaseDataset) -> None:
        first = self.datasets[0]
        facts = {'ignore_index': [getattr(dataset, 'ignore_index', 255) for dataset in (first, part)]}
        if 'classes' not in self.ignore_keys:
            facts['metainfo.classes'] = [list(d.metainfo.get('classes') or ()) for d in (first, part)]
        for key, (of_first, of_part) in facts.items():
            if of_first != of_part:
                raise ValueError(
                    f'ConcatDataset: {key} of dataset 0 is {of_first!r} and of dataset {number} {of_part!r}, and a '
                    'model cannot tell which image comes from which. Give them the same; label_map and '
                    'reduce_zero_label, which say how files are read, may differ'
                )

    @property
    def ignore_index(self) -> int:
        """The label that does not count."""
        return getattr(self.datasets[0], 'ignore_index', 255)

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes of one image."""
        part, index = self._get_ori_dataset_idx(idx)
        return self.datasets[part].get_cat_ids(index)

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class, image by image."""
        return [image for part in self.datasets for image in part.class_pixels()]


@DATASETS.register_module()
class RepeatDataset(_RepeatDataset):
    """A dataset several times over, with new augmentations each time.

    Args:
        dataset: the dataset, or its config.
        times: how often, a whole number of at least 1.
        lazy_init: leave finding files to ``full_init``.
    """

    def __init__(self, dataset: BaseDataset | dict, times: int, lazy_init: bool = False) -> None:
        if times < 1 or int(times) != times:
            raise ValueError(f'RepeatDataset: times must be a whole number of at least 1, not {times!r}')
        self.dataset = _build(dataset)
        self.times = int(times)
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def ignore_index(self) -> int:
        """The label that does not count."""
        return getattr(self.dataset, 'ignore_index', 255)

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes of one image."""
        return self.dataset.get_cat_ids(self._get_ori_dataset_idx(idx))

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class, image by image; each image once."""
        return self.dataset.class_pixels()


@DATASETS.register_module()
class ClassBalancedDataset(_ClassBalancedDataset):
    """A dataset in which images of rare classes occur more than once (Gupta et al., LVIS, arXiv 1908.03195).

    A class with pixels in the share f of all images has the factor max(1, sqrt(``oversample_thr`` / f)); an image
    occurs as often as the greatest factor of its classes says, rounded up. The dataset's ``get_cat_ids`` says which
    classes an image has: those of folders read all annotations once.

    Args:
        dataset: the dataset, or its config.
        oversample_thr: share of images, 0 to 1, below which a class is rare.
        lazy_init: leave finding files and counting to ``full_init``.
    """

    def __init__(self, dataset: BaseDataset | dict, oversample_thr: float, lazy_init: bool = False) -> None:
        if not 0 <= oversample_thr <= 1:
            raise ValueError(f'ClassBalancedDataset: oversample_thr is a share from 0 to 1, not {oversample_thr!r}')
        self.dataset = _build(dataset)
        self.oversample_thr = oversample_thr
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _get_repeat_factors(self, dataset: BaseDataset, repeat_thr: float) -> list[float]:
        classes = [set(dataset.get_cat_ids(index)) for index in range(len(dataset))]
        images = Counter(name for present in classes for name in present)
        factor = {name: max(1.0, math.sqrt(repeat_thr * len(classes) / count)) for name, count in images.items()}
        return [max((factor[name] for name in present), default=1.0) for present in classes]

    @property
    def ignore_index(self) -> int:
        """The label that does not count."""
        return getattr(self.dataset, 'ignore_index', 255)

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class, image by image; each as often as it occurs."""
        found = self.dataset.class_pixels()
        return [found[index] for index in self.repeat_indices if index < len(found)]


@DATASETS.register_module()
class MultiImageMixDataset(Dataset):
    """Samples that are made of several of a dataset's.

    A transform that has ``get_indices(dataset)`` finds the samples of these indices in ``results['mix_results']``.
    They come from the dataset's own pipeline, which loads and may augment them; what follows all mixing, packing at
    last, belongs into ``pipeline`` here. Chance is that of the sample: the stream is the same after a resume.

    Args:
        dataset: the dataset, or its config; its pipeline does not pack.
        pipeline: transforms, or their configs.
        skip_type_keys: types of transforms in ``pipeline`` to leave out.
        lazy_init: leave finding files to ``full_init``.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[dict | Callable],
        skip_type_keys: Sequence[str] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if isinstance(skip_type_keys, str):
            raise TypeError(f'MultiImageMixDataset: skip_type_keys={skip_type_keys!r} must be a list of types')
        skipped = set(skip_type_keys or ())
        kept = (step for step in pipeline if not isinstance(step, dict) or step['type'] not in skipped)
        self.pipeline = build_steps(kept)
        self.dataset = _build(dataset)
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Let the dataset find its files, and transforms look at them, once."""
        if not self._fully_initialized:
            self.dataset.full_init()
            for step in self.pipeline:
                if hasattr(step, 'prepare'):
                    step.prepare(self.dataset)
            self._fully_initialized = True

    def __len__(self) -> int:
        self.full_init()
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        self.full_init()
        results = self._sample(idx)
        for step in self.pipeline:
            if hasattr(step, 'get_indices'):
                indices = step.get_indices(self.dataset)
                results['mix_results'] = [self._sample(index) for index in indices]
            results = step(results)
            results.pop('mix_results', None)
        return results

    def _sample(self, index: int) -> dict:
        sample = self.dataset[index]
        if not isinstance(sample, dict) or 'img' not in sample:
            raise TypeError(
                'MultiImageMixDataset mixes images as they are before they are packed: move PackSegInputs from the '
                "dataset's pipeline to the end of its own"
            )
        return sample

    @property
    def metainfo(self) -> dict:
        """The dataset's."""
        return self.dataset.metainfo

    @property
    def ignore_index(self) -> int:
        """The label that does not count."""
        return getattr(self.dataset, 'ignore_index', 255)

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes of one image, before it is mixed with others."""
        return self.dataset.get_cat_ids(idx)

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class, image by image, before they are mixed."""
        return self.dataset.class_pixels()
