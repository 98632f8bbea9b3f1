"""Images and label maps in two folders: what every segmentation dataset here is."""

import difflib
import os.path as osp
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import exists

from mmseg.registry import DATASETS
from mmseg.utils.image_file import UnreadableFileError
from mmseg.utils.text_file import read_lines

from .bad_samples import BadSamples
from .class_counts import pixels_of_files
from .found_files import FoundFiles, Places, given_folders
from .metainfo import checked_label_ids, checked_palette, compose_label_maps, distinct_palette, values_of_chosen
from .transforms.building import build_steps
from .transforms.loading import LoadAnnotations

RULES = (
    'label_palette',
    'label_map',
    'reduce_zero_label',
    'ignore_index',
    'num_classes',
)  # from values in files to classes


@DATASETS.register_module()
class BaseSegDataset(BaseDataset):
    """Pairs of an image and a label map, found by folder and suffix or listed in a split file.

    The image ``IMG_FOLDER/NAME + img_suffix`` belongs to the label map ``SEG_FOLDER/NAME + seg_map_suffix``;
    NAME may hold subfolders. Samples are sorted by image name, or follow the split file.

    Args:
        ann_file: Split file with one NAME a line, relative to ``data_root``; '' takes all of the folder.
        img_suffix: Ending of image names, or several of them.
        seg_map_suffix: Ending of label map names.
        metainfo: Overrides of ``METAINFO``. ``classes``: names, or a text file with one a line; for a dataset
            that has its own classes, any choice and order of them. ``palette``: one [r, g, b] per class;
            distinct colours are made up where there is none. ``label_map``: value in the files -> index in
            the dataset's full class list (negative: ignored), applied after ``reduce_zero_label``; values
            that it does not name stay. ``label_palette``: [r, g, b] of each label value, where the files show
            colours: label k is the k-th colour, and all other rules come after. ``label_ids``: for each class the
            label that predictions are written with (``output_dir`` of the metrics), where it is not the class
            index (with ``reduce_zero_label``, 1 more).
        data_root: Folder that relative paths start from.
        data_prefix: ``img_path`` and ``seg_map_path``, the two folders, by default both '' (``data_root``
            itself). Without ``seg_map_path`` (or with None) the dataset has images only, and with ``test_mode``
            its pipeline goes without ``LoadAnnotations``.
        filter_cfg: Kept for subclasses that override ``filter_data``.
        indices: Use the first N samples (int; negative: the last) or these ones (sequence).
        serialize_data: Hold the list of samples as one array, which data loader workers share.
        pipeline: Transforms, or their configs.
        test_mode: Do not replace a sample whose pipeline returns None by another one.
        lazy_init: Leave looking for the files to ``full_init``; ``metainfo`` is complete at once.
        max_refetch: How often to try another sample when the pipeline returns None.
        ignore_index: Label of pixels that belong to no class.
        reduce_zero_label: Label 0 of the files means "no class", and label k is class k - 1.
        backend_args: mmengine's file backend for both folders and the split file; None is the local disk.
        max_bad_samples: How many different samples may turn out unreadable in training (a file that is gone,
            empty, truncated, no image or absurdly large) before that ends the run. Each is logged with its file's
            name, and replaced by a sample that depends on its index only, so the run repeats and resumes exactly.
            Each process counts its own share, anew after a resume. Sizes and labels that are wrong always end the
            run: they say that the dataset or its config is.

    Raises:
        FileNotFoundError: A folder, the split file, an image or a label map does not exist.
        ValueError: An argument that cannot be meant, such as a class the dataset does not have.
    """

    METAINFO: dict = {}
    PREPARATION = ''  # command that writes the label maps, quoted when they are missing

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str | Sequence[str] = '.jpg',
        seg_map_suffix: str = '.png',
        metainfo: Mapping | None = None,
        data_root: str | None = None,
        data_prefix: Mapping | None = None,
        filter_cfg: Mapping | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        backend_args: Mapping | None = None,
        max_bad_samples: int = 0,
    ):
        self.img_suffix = img_suffix
        self.seg_map_suffix = seg_map_suffix
        self.ignore_index = ignore_index
        self.reduce_zero_label = reduce_zero_label
        self.backend_args = None if backend_args is None else dict(backend_args)
        if max_bad_samples < 0 or (max_bad_samples and test_mode):
            raise ValueError(
                f'max_bad_samples={max_bad_samples} must be 0 or more, and 0 where test_mode is on: a score over '
                'other images than those asked for means nothing. Set it in train_dataloader.dataset'
            )
        self.max_bad_samples = max_bad_samples
        self._bad_samples: BadSamples | None = None
        self._pixels_of: dict[str, dict[int, int]] = {}  # annotation file -> its classes, once they are asked for
        if data_prefix is None:
            data_prefix = {'img_path': '', 'seg_map_path': ''}
        self._given_prefix = given_folders(data_prefix)
        if indices is not None and (indices == 0 or (not isinstance(indices, int) and len(indices) == 0)):
            raise ValueError(f'indices={indices!r} selects no sample; indices=None takes all')

        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=osp.expanduser(data_root) if data_root else '',
            data_prefix={key: osp.expanduser(path) for key, path in self._given_prefix.items()},
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=self._build_pipeline(pipeline, test_mode),
            test_mode=test_mode,
            lazy_init=True,
            max_refetch=max_refetch,
        )
        self._complete_metainfo(given=metainfo or {})
        if not lazy_init:
            self.full_init()

    def _build_pipeline(self, steps: Sequence[dict | Callable], test_mode: bool) -> list[Callable]:
        built = build_steps(steps)
        if test_mode and 'seg_map_path' not in self._given_prefix:  # a metric that needs annotations says so
            built = [step for step in built if not isinstance(step, LoadAnnotations)]
        return built

    # ---- classes, palette, label map ----

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None, ignore_index: int = 255) -> dict[int, int] | None:
        """Where each class of ``METAINFO`` goes when a config chooses ``new_classes`` among them.

        Returns:
            Old index -> new index, ``ignore_index`` for a class left out; None where nothing changes.

        Raises:
            ValueError: ``new_classes`` has a name that the dataset does not.
        """
        old_classes = cls.METAINFO.get('classes')
        if new_classes is None or old_classes is None or list(new_classes) == list(old_classes):
            return None
        for name in new_classes:
            if name not in old_classes:
                close = difflib.get_close_matches(name, old_classes, n=3)
                hint = f'; close to it: {close}' if close else ''
                raise ValueError(
                    f'metainfo.classes: {cls.__name__} has no class {name!r}{hint}. Its {len(old_classes)} '
                    f'classes are in {cls.__name__}.METAINFO; other classes need type=BaseSegDataset'
                )
        new_index = {name: index for index, name in enumerate(new_classes)}
        return {old: new_index.get(name, ignore_index) for old, name in enumerate(old_classes)}

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | None = None) -> dict:
        """``METAINFO`` overridden by ``metainfo``, a file of class names read."""
        outdated = {'CLASSES', 'PALETTE'} & set(metainfo or ())
        if outdated:
            raise ValueError(f'metainfo has {sorted(outdated)}; write classes and palette in lower case')
        classes = metainfo.get('classes') if metainfo else None
        if isinstance(classes, str):
            if not exists(classes):
                raise FileNotFoundError(
                    f'metainfo.classes={classes!r} is read as a text file with one class name a line, and '
                    f'there is no such file; a single class is written classes=({classes!r},)'
                )
            metainfo = {**metainfo, 'classes': read_lines(classes)}
        return super()._load_metainfo(metainfo)

    def _complete_metainfo(self, given: Mapping) -> None:
        meta = self._metainfo
        classes = meta.get('classes')
        if classes is None:
            if self.test_mode:
                raise ValueError(f'{type(self).__name__} needs metainfo=dict(classes=(...)) to be evaluated')
        else:
            repeated = [name for name, count in Counter(classes).items() if count > 1]
            if repeated or not classes or not all(isinstance(name, str) for name in classes):
                raise ValueError(f'metainfo.classes must be different names; got {classes!r}, repeated: {repeated}')
        subset = self.get_label_map(classes, self.ignore_index)
        full_classes = self.METAINFO.get('classes')
        if classes is not None:
            if meta.get('palette'):
                palette = checked_palette(meta['palette'])
                meta['palette'] = values_of_chosen(
                    'palette', palette, classes, full_classes, bool(given.get('palette'))
                )
            else:
                meta['palette'] = distinct_palette(len(classes))
            if meta.get('label_ids') is not None:
                ids = checked_label_ids(meta['label_ids'])
                meta['label_ids'] = values_of_chosen('label_ids', ids, classes, full_classes, 'label_ids' in given)
            elif self.reduce_zero_label:
                meta['label_ids'] = list(range(1, len(classes) + 1))
        count = len(full_classes or classes or ())
        if meta.get('label_palette') is not None:
            meta['label_palette'] = checked_palette(meta['label_palette'], 'label_palette')
        meta['label_map'] = compose_label_maps(meta.get('label_map'), subset, count, self.ignore_index)
        meta['reduce_zero_label'] = self.reduce_zero_label

    # ---- samples ----

    def get_data_info(self, idx: int) -> dict:
        """One sample as the pipeline receives it.

        Returns:
            ``img_path``, ``seg_map_path`` (absent without label maps) and ``sample_idx``; the same for all
            samples: ``label_map``, ``reduce_zero_label``, ``ignore_index``, ``num_classes`` (absent where the
            dataset has no class names), ``label_palette`` (absent where files hold indices) and ``seg_fields`` (empty).
        """
        # Not stored with each sample: a label map of 171 entries times 118,000 images.
        info = super().get_data_info(idx)
        info.update(
            label_map=self._metainfo['label_map'],
            reduce_zero_label=self.reduce_zero_label,
            ignore_index=self.ignore_index,
            seg_fields=[],
        )
        if self._metainfo.get('classes') is not None:
            info['num_classes'] = len(self._metainfo['classes'])
        if self._metainfo.get('label_palette') is not None:
            info['label_palette'] = self._metainfo['label_palette']
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """The classes that have a pixel in a sample's annotation, ascending.

        The first call reads the annotations of all samples.
        """
        self._count()
        return list(self._pixels_of[self.get_data_info(idx)['seg_map_path']])

    def class_pixels(self) -> list[dict[int, int]]:
        """The pixels of each class in each sample's annotation.

        The first call reads the annotations of all samples.
        """
        self._count()
        return [self._pixels_of[self.get_data_info(index)['seg_map_path']] for index in range(len(self))]

    def _count(self) -> None:
        if self._pixels_of:
            return
        infos = [self.get_data_info(index) for index in range(len(self))]
        paths = [info.get('seg_map_path') for info in infos]
        if None in paths:
            raise ValueError(f'{type(self).__name__} has images without label maps, so their classes are unknown')
        steps = getattr(self.pipeline, 'transforms', ())
        load = next((step for step in steps if isinstance(step, LoadAnnotations)), LoadAnnotations())
        rules = {key: infos[0][key] for key in RULES if key in infos[0]}
        found = pixels_of_files(paths, load, rules, skip_unreadable=bool(self.max_bad_samples))
        self._pixels_of = dict(zip(paths, found, strict=True))

    def prepare_data(self, idx: int) -> dict | None:
        """One sample through the pipeline; with ``max_bad_samples``, another one if it is unreadable.

        Raises:
            RuntimeError: more samples than ``max_bad_samples`` are unreadable.
        """
        if not self.max_bad_samples:
            return super().prepare_data(idx)
        index = idx % len(self)
        # Not the global generator: the choice must depend on the index alone.
        generator = np.random.default_rng(index)
        while True:
            try:
                return super().prepare_data(index)
            except (OSError, UnreadableFileError) as error:
                self._bad_samples.add(index, error)
            index = int(generator.integers(len(self)))

    def full_init(self) -> None:
        """Look for the files, once."""
        super().full_init()
        if self.max_bad_samples and self._bad_samples is None:
            self._bad_samples = BadSamples(self.max_bad_samples, len(self))

    def load_data_list(self) -> list[dict]:
        """Find all samples, and check that each has its image and its label map."""
        found = self.find_files()
        self._places().check(found)
        return [self.sample_paths(name, found) for name in found.names]

    def find_files(self) -> FoundFiles:
        """List the files with one walk over each folder.

        Raises:
            FileNotFoundError: a folder or the split file does not exist, or there is no image.
            ValueError: two images have one NAME, or the split file is empty.
        """
        return self._places().find()

    def _places(self) -> Places:
        return Places(
            dataset=type(self).__name__,
            data_root=self.data_root,
            given=self._given_prefix,
            folders=self.data_prefix,
            ann_file=self.ann_file,
            img_suffix=self.img_suffix,
            seg_map_suffix=self.seg_map_suffix,
            backend_args=self.backend_args,
            preparation=self.PREPARATION,
        )

    def sample_paths(self, name: str, found: FoundFiles) -> dict:
        """``img_path`` of a sample and, in a dataset with label maps, ``seg_map_path``."""
        paths = {'img_path': osp.join(self.data_prefix['img_path'], found.images[name])}
        if found.label_files is not None:
            paths['seg_map_path'] = osp.join(self.data_prefix['seg_map_path'], name + self.seg_map_suffix)
        return paths
