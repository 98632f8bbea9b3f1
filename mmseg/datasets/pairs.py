"""A list of pairs: which image has which label map, wherever the two lie."""

import csv
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.fileio import exists

from mmseg.registry import DATASETS
from mmseg.utils.text_file import AROUND, LINE_ENDS, read_text

from .basesegdataset import BaseSegDataset
from .found_files import SHOWN

# What the first line may call its columns; without any of these it is a pair like the others.
COLUMNS = {
    'image': ('image', 'images', 'img', 'image_path', 'img_path', 'file', 'filename', 'file_name', 'input', 'x'),
    'label': ('label', 'labels', 'mask', 'masks', 'label_path', 'mask_path', 'annotation', 'seg_map', 'seg_map_path',
              'segmentation', 'gt', 'target', 'y'),
    'split': ('split', 'subset', 'fold', 'set'),
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One line of a list: an image, its label map ('' for none), and the split it belongs to ('' for no word on it)."""

    image: str
    label: str
    split: str = ''


def parse_pairs(text: str, path: str) -> list[Pair]:
    """The pairs of a CSV file, parted by commas, semicolons or tabs.

    Columns are image, label map and split, in this order, or as the first line names them.

    Raises:
        ValueError: a line has no two columns, or there is no line.
    """
    lines = [line for line in (line.strip(AROUND) for line in LINE_ENDS.split(text)) if line]
    if not lines:
        raise ValueError(f"'{path}' has no lines: each is to be an image, a comma, and its label map")
    mark = max(',;\t', key=lines[0].count)
    rows = [[cell.strip(AROUND) for cell in row] for row in csv.reader(lines, delimiter=mark)]
    places = _places(rows[0])
    if places is None:
        places = {'image': 0, 'label': 1, 'split': 2}
    else:
        del rows[0]
    pairs = []
    for number, row in enumerate(rows, 1):
        cells = {name: row[place] for name, place in places.items() if place < len(row)}
        if not cells.get('image') or 'label' not in cells:
            raise ValueError(
                f"'{path}': pair {number} is {row}, and not an image, a comma, and its label map. A first line that "
                f'names the columns says, for instance, image,label,split'
            )
        pairs.append(Pair(**cells))
    if not pairs:
        raise ValueError(f"'{path}' names its columns and has no pairs below")
    return pairs


def _places(first: Sequence[str]) -> dict[str, int] | None:
    """Which column is what, by the first line; None where that is a pair."""
    words = [word.lower().replace(' ', '_') for word in first]
    found = {
        name: next(place for place, word in enumerate(words) if word in known)
        for name, known in COLUMNS.items()
        if set(words) & set(known)
    }
    return found if {'image', 'label'} <= set(found) else None


@DATASETS.register_module()
class PairsDataset(BaseSegDataset):
    """Images and label maps that a CSV file lists, one pair a line: any names, any folders, any number of endings.

    ``ann_file`` has the columns image, label map and, if need be, split (:func:`parse_pairs`). Paths start from
    ``data_prefix.img_path`` and ``data_prefix.seg_map_path``, unless they are absolute. ``lrformer new`` writes such
    lists.

    Args:
        ann_file: the CSV file, relative to ``data_root``.
        split: take the lines of this split only; None takes all.
        kwargs: those of :class:`BaseSegDataset`; ``img_suffix`` and ``seg_map_suffix`` have no meaning here.

    Raises:
        FileNotFoundError: a listed file does not exist.
        ValueError: the list is no list of pairs, has an image twice, or no line of ``split``.
    """

    def __init__(self, ann_file: str, split: str | None = None, **kwargs) -> None:
        self.split = split
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """The listed pairs, in the order of the list."""
        name = type(self).__name__
        pairs = parse_pairs(read_text(self.ann_file, self.backend_args), self.ann_file)
        if self.split is not None:
            splits = sorted({pair.split for pair in pairs})
            pairs = [pair for pair in pairs if pair.split == self.split]
            if not pairs:
                raise ValueError(f'{name}: {self.ann_file!r} has no line of split={self.split!r}, but {splits}')
        keys = ('img_path', 'seg_map_path') if 'seg_map_path' in self.data_prefix else ('img_path',)
        infos = [
            {key: self._place(key, path) for key, path in zip(keys, (pair.image, pair.label), strict=False)}
            for pair in pairs
        ]
        images = [info['img_path'] for info in infos]
        if len(set(images)) < len(images):
            twice = next(image for image in images if images.count(image) > 1)
            raise ValueError(f'{name}: {self.ann_file!r} lists {twice} more than once')
        lost = [path for info in infos for path in info.values() if not exists(path, backend_args=self.backend_args)]
        if lost:
            raise FileNotFoundError(
                f'{name}: {len(lost)} files that {self.ann_file!r} lists do not exist: {", ".join(lost[:SHOWN])}. Its '
                'paths start from data_root and data_prefix'
            )
        return infos

    def _place(self, key: str, path: str) -> str:
        return path if osp.isabs(path) else osp.join(self.data_prefix[key], path)
