"""Convert COCO-Stuff 164K's pixel maps (raw ids) to the 171 train ids.

    python tools/dataset_converters/coco_stuff164k.py data/coco_stuff164k --nproc 8

Reads annotations/{train2017,val2017}/*.png and writes *_labelTrainIds.png beside each. Files that are there
already are skipped, so an interrupted run is simply started again.
"""

import sys
from pathlib import Path

import numpy as np
from _convert import find_sources, run
from PIL import Image

SUFFIX = '_labelTrainIds.png'
IGNORED = 255
LAST_CATEGORY = 182
# COCO category ids that were announced but never annotated; a raw pixel value is the category id - 1.
UNUSED_CATEGORIES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)


def train_id_table() -> np.ndarray:
    """Table of 256 uint8: the train id (0 to 170) of each raw value, 255 for values without a class."""
    used = [category for category in range(1, LAST_CATEGORY + 1) if category not in UNUSED_CATEGORIES]
    table = np.full(256, IGNORED, np.uint8)
    table[np.array(used) - 1] = np.arange(len(used))
    return table


TABLE = train_id_table()


def to_labels(source: Path) -> np.ndarray:
    """Read a raw pixel map and return its train ids, uint8 of H x W.

    Raises:
        ValueError: the file is no 8-bit single-channel image, or holds values that are no raw id.
        OSError: the file cannot be read as an image.
    """
    with Image.open(source) as image:
        if image.mode not in ('L', 'P'):
            raise ValueError(f'expected an 8-bit single-channel image, got mode {image.mode}')
        raw = np.asarray(image)
    unknown = np.unique(raw[(raw >= LAST_CATEGORY) & (raw != IGNORED)])
    if unknown.size:
        raise ValueError(
            f'values {unknown.tolist()} are no raw COCO-Stuff ids (0 to {LAST_CATEGORY - 1}, and {IGNORED})'
        )
    return TABLE[raw]


def find_pairs(root: Path) -> list[tuple[Path, Path]]:
    """List (raw pixel map, train id map) of both splits."""
    return [
        (source, source.with_name(source.stem + SUFFIX))
        for split in ('train2017', 'val2017')
        for source in find_sources(root / 'annotations' / split, '*.png', exclude=SUFFIX)
    ]


def main() -> int:
    return run(__doc__, 'data/coco_stuff164k', find_pairs, to_labels)


if __name__ == '__main__':
    sys.exit(main())
