"""Write the augmented label maps of Pascal VOC 2012 (SBD: 10,582 training images).

    python tools/dataset_converters/voc_aug.py data/VOCdevkit

Reads VOC2012/ (JPEGImages, SegmentationClass, ImageSets/Segmentation) and SBD's benchmark_RELEASE/dataset/cls/*.mat,
which may lie in any folder below. Writes VOC2012/SegmentationClassAug/NAME.png, VOC's own label maps where it has them,
and VOC2012/ImageSets/Segmentation/trainaug.txt: all of these but the images of val.txt.
"""

import sys
from pathlib import Path

import numpy as np
from _convert import find_sources, run
from PIL import Image

from mmseg.utils.atomic_file import atomic_write


def to_labels(source: Path) -> np.ndarray:
    """The label map of a .mat file of SBD or a palette PNG of VOC: uint8 of H x W, 255 where there is no class."""
    if source.suffix == '.png':
        with Image.open(source) as image:
            return np.array(image)
    from scipy.io import loadmat

    return loadmat(source, struct_as_record=False, squeeze_me=True)['GTcls'].Segmentation.astype(np.uint8)


def find_pairs(root: Path) -> list[tuple[Path, Path]]:
    """List (source, label map) of all images, and write trainaug.txt."""
    voc = root / 'VOC2012'
    sources = {source.stem: source for source in find_sources(root, '**/cls/*.mat')}
    sources |= {source.stem: source for source in find_sources(voc / 'SegmentationClass', '*.png')}
    target = voc / 'SegmentationClassAug'
    target.mkdir(exist_ok=True)
    lists = voc / 'ImageSets' / 'Segmentation'
    val = set((lists / 'val.txt').read_text().split())
    with atomic_write(str(lists / 'trainaug.txt')) as file:
        file.write(''.join(f'{name}\n' for name in sorted(set(sources) - val)).encode())
    return [(source, target / f'{name}.png') for name, source in sorted(sources.items())]


def main() -> int:
    return run(__doc__, 'data/VOCdevkit', find_pairs, to_labels)


if __name__ == '__main__':
    sys.exit(main())
