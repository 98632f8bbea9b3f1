"""Convert Cityscapes' polygons to label images with the 19 train ids.

    pip install cityscapesscripts
    python tools/dataset_converters/cityscapes.py data/cityscapes --nproc 8

Reads gtFine/{train,val,test}/CITY/*_gtFine_polygons.json and writes *_gtFine_labelTrainIds.png beside each
(test may be absent). Files that are there already are skipped, so an interrupted run is simply started again.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
from _convert import find_sources, run

SOURCE_SUFFIX = '_polygons.json'
TARGET_SUFFIX = '_labelTrainIds.png'


def to_labels(source: Path) -> np.ndarray:
    """Draw the polygons of a json file: train ids, uint8 of H x W, 255 where there is no class."""
    from cityscapesscripts.helpers.annotation import Annotation
    from cityscapesscripts.preparation.json2labelImg import createLabelImage

    annotation = Annotation()
    annotation.fromJsonFile(str(source))
    return np.asarray(createLabelImage(annotation, 'trainIds'))


def find_pairs(root: Path) -> list[tuple[Path, Path]]:
    """List (polygons, train id map) of all splits; train and val must be there.

    Raises:
        ImportError: cityscapesscripts is missing; said here, before any work is done.
    """
    if importlib.util.find_spec('cityscapesscripts') is None:
        raise ImportError('the polygons are drawn by cityscapesscripts: pip install cityscapesscripts')
    splits = ['train', 'val'] + (['test'] if (root / 'gtFine' / 'test').is_dir() else [])
    return [
        (source, source.with_name(source.name.removesuffix(SOURCE_SUFFIX) + TARGET_SUFFIX))
        for split in splits
        for source in find_sources(root / 'gtFine' / split, f'*/*{SOURCE_SUFFIX}')
    ]


def main() -> int:
    return run(__doc__, 'data/cityscapes', find_pairs, to_labels)


if __name__ == '__main__':
    sys.exit(main())
