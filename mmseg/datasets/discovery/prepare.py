"""Label maps for samples that have shapes or rows of a table: written once each, whole, by all CPUs."""

import hashlib
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image, PngImagePlugin

from mmseg.utils.atomic_file import atomic_write, remove_unfinished
from mmseg.utils.image_file import decode_image, read_bytes, read_header
from mmseg.utils.parallel import parallel_map
from mmseg.utils.progress import track

from ..formats.source import Sample, Source, draw
from ..formats.tree import Tree

LABELS = 'labels'  # folder of drawn label maps
EXTRACTED = 'data'  # folder of images and label maps that came out of a table
STAMP = 'lrformer'  # key of a PNG's text: what it was drawn from
BROKEN = 'images or shapes that cannot be read'


@dataclass(frozen=True)
class Pair:
    """A sample as files.

    Attributes:
        image, label: relative to the roots below, with forward slashes.
        split: where the data says so.
    """

    image: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Pairs:
    """All samples, and the folders that their names start from."""

    image_root: str
    label_root: str
    pairs: list[Pair]

    def paths(self, pair: Pair) -> tuple[str, str]:
        """Where a pair lies."""
        return f'{self.image_root}/{pair.image}', f'{self.label_root}/{pair.label}'


def prepare(tree: Tree, source: Source, out: Path, nproc: int) -> Pairs:
    """Make every sample an image file and a label map file.

    What is there already, drawn from the same shapes, stays, so that an interrupted run goes on where it was. Samples
    that cannot be drawn are counted in ``source.notes``.

    Args:
        tree: the files.
        source: what they were found to be.
        out: the folder to write into; nothing is written where label maps are there.
        nproc: processes.
    """
    if source.extract is not None:
        return _extract(tree, source, out / EXTRACTED, nproc)
    if not source.drawn:
        return Pairs(tree.root, tree.root, [Pair(s.image, s.label, s.split) for s in source.samples])
    folder = out / LABELS
    names = label_names([sample.image for sample in source.samples])
    for parent in {(folder / name).parent for name in names.values()}:
        parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(str(parent))
    function = partial(_draw, tree, source.fill, len(source.classes))
    items = [(sample, str(folder / names[sample.image])) for sample in source.samples]
    pairs = []
    results = track(parallel_map(function, items, nproc), len(items), 'Drawing labels', 'images')
    for (sample, _), unusual, reason in results:
        if reason is not None:
            source.notes.add(BROKEN, f'{sample.image} ({reason})', left_out=True)
            continue
        for text, count in unusual.items():
            source.notes.add(text, sample.image, count)
        pairs.append(Pair(sample.image, names[sample.image], sample.split))
    return Pairs(tree.root, str(folder), pairs)


def label_names(images: Sequence[str]) -> dict[str, str]:
    """Image -> its label map's name; a.png for a.jpg, but a.jpg.png where there is another image a."""
    stems = [str(PurePosixPath(image).with_suffix('')) for image in images]
    several = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    return {i: f'{i if stem in several else stem}.png' for i, stem in zip(images, stems, strict=True)}


def _draw(tree: Tree, fill: int, classes: int, item: tuple[Sample, str]) -> dict[str, int]:
    sample, target = item
    path = tree.path(sample.image)
    content = read_bytes(path, 'image')
    header = read_header(content, path, 'image', 'tifffile')
    # The sides that the annotation was drawn on: a photo that EXIF turns may be turned in the tool, or not.
    size = sample.size if sample.size in (header.size, header.shown_size) else header.shown_size
    if size is None:
        size = decode_image(content, header, path, None, 'unchanged', 'tifffile').shape[:2]
    if sample.size and tuple(sample.size) != tuple(size):
        raise ValueError(f'the annotation is for {sample.size[0]}x{sample.size[1]}, the image has {size[0]}x{size[1]}')
    labels, unusual = draw(sample.shapes, size, fill, classes)
    stamp = hashlib.blake2b(pickle.dumps((size, fill, classes, sample.shapes), protocol=4), digest_size=16).hexdigest()
    if not _is_drawn(target, stamp):
        info = PngImagePlugin.PngInfo()
        info.add_text(STAMP, stamp)
        with atomic_write(target) as file:
            Image.fromarray(labels).save(file, format='PNG', pnginfo=info)
    return dict(unusual)


def _is_drawn(target: str, stamp: str) -> bool:
    try:
        with Image.open(target) as image:
            return image.info.get(STAMP) == stamp
    except OSError:
        return False


def _extract(tree: Tree, source: Source, folder: Path, nproc: int) -> Pairs:
    function = partial(source.extract, os.fspath(folder))
    numbers = range(len(source.samples))
    pairs = []
    for number, image, reason in track(parallel_map(function, numbers, nproc), len(numbers), 'Extracting', 'images'):
        sample = source.samples[number]
        if reason is not None:
            source.notes.add(BROKEN, f'{sample.image} ({reason})', left_out=True)
        else:
            pairs.append(Pair(image, sample.label, sample.split))
    return Pairs(str(folder), str(folder), pairs)
