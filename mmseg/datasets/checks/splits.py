"""Which samples a config's datasets are made of, with everything that files' names alone can tell."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mmcv.transforms
from mmengine.dataset import BaseDataset

from mmseg.registry import DATASETS

from ..basesegdataset import BaseSegDataset
from ..found_files import FoundFiles
from ..transforms.loading import LoadAnnotations, LoadImageFromFile
from .facts import KNOWN_SUFFIXES, Reading


@dataclass
class Split:
    """One dataset of a config.

    Attributes:
        name: 'train', 'val', 'test', or 'val, test' where they are the same dataset.
        dataset: it, or None where it could not be built.
        problems: (code, file or '', what is wrong) found so far.
        items: (image, annotation or None) of each sample; indices for a dataset that holds its samples in memory.
        drawn: whether it does.
    """

    name: str
    dataset: BaseDataset | None = None
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    items: Sequence = ()
    drawn: bool = False
    reading: Reading = field(default_factory=Reading)
    reduce_zero_label: bool = False

    @property
    def loader(self) -> str:
        """The first of the names, without the number of a part: the dataloader that the config lines are for."""
        return self.name.split(', ')[0].partition('[')[0]

    @property
    def classes(self) -> Sequence[str] | None:
        return self.dataset.metainfo.get('classes') if self.dataset is not None else None

    @property
    def ignore_index(self) -> int:
        return getattr(self.dataset, 'ignore_index', 255)

    @property
    def label_map(self) -> dict[int, int] | None:
        return self.dataset.metainfo.get('label_map')

    def note(self, code: str, file: str, text: str = '') -> None:
        """Add a problem."""
        self.problems.append((code, file, text))


def find_splits(datasets: Mapping[str, dict | BaseDataset]) -> list[Split]:
    """List the files of datasets, those inside of wrappers each for itself, the same one under two names once."""
    splits: list[Split] = []
    seen: list[tuple[dict, Split]] = []
    for name, given in datasets.items():
        leaves = _leaves(given)
        for number, leaf in enumerate(leaves):
            label = name if len(leaves) == 1 else f'{name}[{number}]'
            key = {k: v for k, v in leaf.items() if k != 'pipeline'} if isinstance(leaf, dict) else leaf
            same = next((split for known, split in seen if known is key or known == key), None)
            if same is not None:
                same.name += f', {label}'
                continue
            splits.append(_open(label, leaf))
            seen.append((key, splits[-1]))
    return splits


def _leaves(dataset: dict | BaseDataset) -> list[dict | BaseDataset]:
    """The datasets that wrappers (repeat, concatenate) are made of; each once."""
    get = dataset.get if isinstance(dataset, dict) else lambda key: getattr(dataset, key, None)
    inner = [get('dataset')] if get('dataset') is not None else get('datasets')
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [dataset]


def _open(name: str, given: dict | BaseDataset) -> Split:
    split = Split(name)
    try:
        split.dataset = DATASETS.build({**given, 'lazy_init': True}) if isinstance(given, dict) else given
        _read_pipeline(split)
        if _finds_its_files_itself(split.dataset):
            _take_samples(split)
        else:
            _find_bad_links(split)  # first, as a link in a circle keeps the files from being found
            _take_files(split, split.dataset.find_files())
    except Exception as error:  # whatever a config does wrong, the other splits are still checked
        split.note('dataset', '', f'{type(error).__name__}: {error}')
    return split


def _read_pipeline(split: Split) -> None:
    steps = getattr(getattr(split.dataset, 'pipeline', None), 'transforms', ())
    loaders = (LoadImageFromFile, mmcv.transforms.LoadImageFromFile)
    image = next((step for step in steps if isinstance(step, loaders)), LoadImageFromFile())
    label = next((step for step in steps if isinstance(step, LoadAnnotations)), LoadAnnotations())
    split.reading = Reading(
        image.color_type,
        image.imdecode_backend,
        image.backend_args,
        label.imdecode_backend,
        label.backend_args,
        split.dataset.metainfo.get('label_palette'),
    )
    of_dataset = getattr(split.dataset, 'reduce_zero_label', None)
    split.reduce_zero_label = label.reduces_zero_label({'reduce_zero_label': of_dataset})


def _finds_its_files_itself(dataset: BaseDataset) -> bool:
    kind = type(dataset)
    return not (
        isinstance(dataset, BaseSegDataset)
        and kind.load_data_list is BaseSegDataset.load_data_list
        and kind.filter_data is BaseDataset.filter_data
    )


def _take_samples(split: Split) -> None:
    dataset = split.dataset
    dataset.full_init()
    if 'img' in dataset.get_data_info(0):
        split.items, split.drawn = range(len(dataset)), True
        return
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    split.items = [(info['img_path'], info.get('seg_map_path')) for info in infos]


def _take_files(split: Split, found: FoundFiles) -> None:
    dataset = split.dataset
    names = _chosen(found.names, dataset._indices)
    for name, count in Counter(names).items():
        if count > 1:
            split.note('repeated-name', name, f'{count} times')
    labels = set(found.label_files or ())
    items = []
    for name in dict.fromkeys(names):
        if name not in found.images:
            split.note('missing-image', name, 'named by the split file')
            continue
        paths = dataset.sample_paths(name, found)
        label = paths.get('seg_map_path')
        if label is not None and name + dataset.seg_map_suffix not in labels:
            split.note('missing-annotation', paths['img_path'], f'no {label}{_other_spelling(name, dataset, labels)}')
            label = None
        items.append((paths['img_path'], label))
    split.items = items
    if not dataset.ann_file:
        _find_leftovers(split, found)


def _chosen(names: list[str], indices: int | Sequence[int] | None) -> list[str]:
    if indices is None:
        return names
    if isinstance(indices, int):
        return names[:indices] if indices > 0 else names[indices:]
    return [names[index] for index in indices]


def _other_spelling(name: str, dataset: BaseSegDataset, labels: set[str]) -> str:
    """Accented letters have two spellings that look alike; macOS writes the longer one."""
    for form in ('NFC', 'NFD'):
        if unicodedata.normalize(form, name) + dataset.seg_map_suffix in labels:
            return ', but one whose name differs in the spelling of accents only (Unicode NFC and NFD)'
    return ''


def _find_leftovers(split: Split, found: FoundFiles) -> None:
    dataset, used = split.dataset, set(found.images.values())
    suffix = dataset.seg_map_suffix
    for file in found.label_files or ():
        if file.endswith(suffix) and file not in used and file[: len(file) - len(suffix)] not in found.images:
            split.note('annotation-without-image', os.path.join(dataset.data_prefix['seg_map_path'], file))
    labels = set(found.label_files or ())
    for file in found.image_files:
        if os.path.splitext(file)[1].lower() in KNOWN_SUFFIXES and file not in used and file not in labels:
            split.note('unused-image', os.path.join(dataset.data_prefix['img_path'], file))


def _find_bad_links(split: Split) -> None:
    if split.dataset.backend_args is not None:
        return
    for folder in dict.fromkeys(split.dataset.data_prefix.values()):
        for parent, folders, files in os.walk(folder):
            for path in (os.path.join(parent, name) for name in folders + files):
                if os.path.islink(path):
                    _check_link(split, path)


def _check_link(split: Split, path: str) -> None:
    target, parent = os.path.realpath(path), os.path.realpath(os.path.dirname(path))
    if not os.path.exists(path):
        split.note('broken-link', path, f'leads to {target}')
    elif os.path.join(parent, '').startswith(os.path.join(target, '')):
        split.note('link-loop', path, f'leads to {target}')
