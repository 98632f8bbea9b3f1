"""Cut the aerial images of ISPRS Potsdam and Vaihingen into tiles of 512 pixels, every 256.

    python tools/dataset_converters/isprs.py potsdam DOWNLOAD data/potsdam
    python tools/dataset_converters/isprs.py vaihingen DOWNLOAD data/vaihingen

DOWNLOAD is the folder of the unpacked archives: of Potsdam 2_Ortho_RGB and 5_Labels_all (or ..._noBoundary), of
Vaihingen top and the folder of the ground truth. Writes img_dir/{train,val} and ann_dir/{train,val}; in label maps 0 is
the boundary, which is ignored, and class k is k + 1.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _samples import Written, run
from PIL import Image

from mmseg.datasets.label_colours import colours_of, labels_of
from mmseg.datasets.public_table import TABLE

SIZE, STRIDE = 512, 256
PALETTE = [[0, 0, 0], *TABLE['ISPRSDataset']['palette']]
POTSDAM_VAL = {
    '2_13', '2_14', '3_13', '3_14', '4_13', '4_14', '4_15', '5_13', '5_14', '5_15', '6_13', '6_14', '6_15', '7_13',
}  # fmt: skip
VAIHINGEN_TRAIN = {1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37}


def potsdam(root: Path) -> Iterator[tuple[Path, Path, str]]:
    """(image, label map, split) of each image that has labels."""
    for image in sorted(root.rglob('top_potsdam_*_RGB.tif')):
        name = image.name.removesuffix('_RGB.tif')
        labels = [*root.rglob(f'{name}_label.tif'), *root.rglob(f'{name}_label_noBoundary.tif')]
        number = name.removeprefix('top_potsdam_')
        if labels:
            yield image, labels[0], 'val' if number in POTSDAM_VAL else 'train'


def vaihingen(root: Path) -> Iterator[tuple[Path, Path, str]]:
    """(image, label map, split) of each image that has labels, which have its name in a folder of theirs."""
    files = sorted(root.rglob('top_mosaic_09cm_area*.tif'))
    truth = {path.name: path for path in files if any(word in str(path.parent).lower() for word in ('gts', 'truth'))}
    for image in files:
        if image != truth.get(image.name, image):
            number = int(image.stem.removeprefix('top_mosaic_09cm_area'))
            yield image, truth[image.name], 'train' if number in VAIHINGEN_TRAIN else 'val'


def tiles(image: Path, label: Path, split: str) -> Written:
    """The tiles of an image and its label map; the last of a row or column ends at the edge.

    Raises:
        ValueError: the two differ in size, or the label map has a colour of no class.
    """
    with Image.open(image) as opened:
        pixels = np.asarray(opened.convert('RGB'))
    labels = labels_of(colours_of(label.read_bytes(), label), PALETTE, label)
    if pixels.shape[:2] != labels.shape:
        raise ValueError(f'{image} has size {pixels.shape[:2]}, {label} {labels.shape}')
    for top in _starts(pixels.shape[0]):
        for left in _starts(pixels.shape[1]):
            window = slice(top, top + SIZE), slice(left, left + SIZE)
            name = f'{image.stem.removesuffix("_RGB")}_{top}_{left}.png'
            yield f'img_dir/{split}/{name}', lambda window=window: pixels[window]
            yield f'ann_dir/{split}/{name}', lambda window=window: labels[window]


def _starts(side: int) -> list[int]:
    last = max(side - SIZE, 0)
    return [*range(0, last, STRIDE), last]


def main() -> int:
    return run(__doc__, {'potsdam': potsdam, 'vaihingen': vaihingen}, tiles)


if __name__ == '__main__':
    sys.exit(main())
