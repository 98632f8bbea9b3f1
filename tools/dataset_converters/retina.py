"""Convert the sets of vessels of the retina, DRIVE, CHASE_DB1, HRF and STARE: images as PNG, label maps of 0 and 1.

    python tools/dataset_converters/retina.py drive DOWNLOAD data/DRIVE

DOWNLOAD is the folder of the unpacked archives; files of STARE may stay .gz. Writes images/{training,validation} and
annotations/{training,validation}, split as is usual: DRIVE's own training and test set; the first 10 children of
CHASE_DB1; the first 5 of each group of HRF; the first 10 of STARE.
"""

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _samples import Written, run
from PIL import Image

Source = tuple[Path, Path, str, str, str]  # image, label map, split, name, ending of the label map


def _split(is_training: bool) -> str:
    return 'training' if is_training else 'validation'


def drive(root: Path) -> Iterator[Source]:
    for image in sorted(root.rglob('images/*_t*.tif')):
        number, _, part = image.stem.partition('_')
        label = image.parent.with_name('1st_manual') / f'{number}_manual1.gif'
        if label.exists():
            yield image, label, _split(part == 'training'), number, '_manual1.png'


def chase_db1(root: Path) -> Iterator[Source]:
    for image in sorted(root.rglob('Image_[0-9][0-9][LR].jpg')):
        label = image.with_name(f'{image.stem}_1stHO.png')
        yield image, label, _split(int(image.stem[6:8]) <= 10), image.stem, '_1stHO.png'


def hrf(root: Path) -> Iterator[Source]:
    images = [path for path in sorted(root.rglob('[0-9][0-9]_*')) if path.suffix.lower() == '.jpg']
    for image in images:
        label = next(iter(root.rglob(f'{image.stem}.tif')), image.with_suffix('.tif'))
        yield image, label, _split(int(image.stem[:2]) <= 5), image.stem, '.png'


def stare(root: Path) -> Iterator[Source]:
    labels = {path.name.partition('.')[0]: path for path in sorted(root.rglob('im[0-9]*.ah.ppm*'))}
    images = {path.name.partition('.')[0]: path for path in root.rglob('im[0-9]*.ppm*') if '.ah.' not in path.name}
    for place, (name, label) in enumerate(labels.items()):
        if name in images:
            yield images[name], label, _split(place < 10), name, '.ah.png'


def files(image: Path, label: Path, split: str, name: str, ending: str) -> Written:
    """An image, and its label map, which is bright where a vessel is."""
    yield f'images/{split}/{name}.png', lambda: _open(image, 'RGB')
    yield f'annotations/{split}/{name}{ending}', lambda: (_open(label, 'L') >= 128).astype(np.uint8)


def _open(path: Path, mode: str) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == '.gz' else path.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert(mode))


def main() -> int:
    return run(__doc__, {'drive': drive, 'chase_db1': chase_db1, 'hrf': hrf, 'stare': stare}, files)


if __name__ == '__main__':
    sys.exit(main())
