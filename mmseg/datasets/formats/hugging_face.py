"""Data sets of the library ``datasets``: saved to disk, or parquet files."""

import io
import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image

from mmseg.utils.atomic_file import atomic_write

from .source import Sample, Source
from .tree import strip_split

IMAGE_COLUMNS = ('image', 'img', 'pixel_values', 'photo', 'input')
LABEL_COLUMNS = ('label', 'labels', 'mask', 'annotation', 'segmentation_mask', 'semantic_segmentation', 'seg_map',
                 'segmentation', 'target', 'gt')  # fmt: skip
SUFFIXES = {'JPEG': '.jpg', 'PNG': '.png', 'TIFF': '.tif', 'WEBP': '.webp'}
IMAGES, LABELS = 'images', 'labels'


def find(root: str) -> Source | None:
    """The data set in a folder; None where there is none.

    Raises:
        ImportError: the library is not installed.
        ValueError: it cannot be read, or which columns hold images and label maps cannot be told.
    """
    folder = Path(root)
    if not folder.is_dir() or not (_is_saved(folder) or any(folder.rglob('*.parquet'))):
        return None
    splits = _open(root)
    features = next(iter(splits.values())).features
    columns = _columns(features)
    samples = []
    for split, rows in splits.items():
        for number in range(len(rows)):
            name = f'{split}/{number:06d}'
            samples.append(Sample(f'{IMAGES}/{name}', f'{LABELS}/{name}.png', strip_split(split)[0]))
    places = [(split, number) for split, rows in splits.items() for number in range(len(rows))]
    return Source('Hugging Face datasets', samples, extract=partial(extract, root, columns, places))


def extract(root: str, columns: tuple[str, str], places: Sequence[tuple[str, int]], out: str, number: int) -> str:
    """Write the image and the label map of a row; each appears when it is whole, and one that is there stays.

    Returns:
        The image's name below ``out``, which ends as its format asks.
    """
    split, row = places[number]
    name = f'{split}/{row:06d}'
    label = Path(out, LABELS, f'{name}.png')
    done = [path for suffix in SUFFIXES.values() if (path := Path(out, IMAGES, f'{name}{suffix}')).exists()]
    if done and label.exists():
        return f'{IMAGES}/{name}{done[0].suffix}'
    cells = _open(root)[split][row]
    image, suffix = _encoded(cells[columns[0]])
    content, _ = _encoded(cells[columns[1]], as_png=True)
    for path, data in ((label, content), (Path(out, IMAGES, name + suffix), image)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(str(path)) as file:
            file.write(data)
    return f'{IMAGES}/{name}{suffix}'


def _is_saved(folder: Path) -> bool:
    return (folder / 'dataset_dict.json').exists() or (folder / 'state.json').exists()


@lru_cache(maxsize=2)
def _open(root: str) -> dict:
    """Split -> rows, with images as bytes."""
    try:
        import datasets
    except ImportError:
        raise ImportError('this data set is read by the library datasets: pip install "lrformer[formats]"') from None
    folder = Path(root)
    try:
        if _is_saved(folder):
            found = datasets.load_from_disk(root)
            splits = dict(found) if isinstance(found, dict) else {'train': found}
        else:
            files: dict[str, list[str]] = {}
            for file in sorted(folder.rglob('*.parquet')):
                split = strip_split(file.stem)[0] or strip_split(file.parent.name)[0] or 'train'
                files.setdefault(split, []).append(os.fspath(file))
            splits = {split: datasets.Dataset.from_parquet(paths) for split, paths in files.items()}
    except Exception as error:  # damaged files fail in as many ways as pyarrow has
        raise ValueError(f'{root!r} cannot be read by the library datasets: {error}') from error
    opened = {}
    for split, rows in splits.items():
        for name, feature in rows.features.items():
            if isinstance(feature, datasets.Image):
                rows = rows.cast_column(name, datasets.Image(decode=False))
        opened[split] = rows
    return opened


def _columns(features) -> tuple[str, str]:
    images = [name for name, feature in features.items() if type(feature).__name__ == 'Image']
    image = next((name for name in IMAGE_COLUMNS if name in images), None)
    label = next((name for name in LABEL_COLUMNS if name in images and name != image), None)
    if len(images) == 2 and (image or label):  # the other is the other
        image = image or next(name for name in images if name != label)
        label = label or next(name for name in images if name != image)
    if image is None or label is None:
        raise ValueError(
            f'of the columns {list(features)}, {images} hold images: call that of the images "image" and that of the '
            'label maps "label" (Dataset.rename_column)'
        )
    return image, label


def _encoded(cell: dict, as_png: bool = False) -> tuple[bytes, str]:
    content = cell['bytes'] if cell.get('bytes') is not None else Path(cell['path']).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        if image.format in SUFFIXES and (not as_png or image.format == 'PNG'):
            return content, SUFFIXES[image.format]
        file = io.BytesIO()
        image.save(file, format='PNG')
        return file.getvalue(), '.png'
