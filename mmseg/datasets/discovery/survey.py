"""Reading all pairs once: sizes, labels, colours, damage; and the statistics of some of the images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mmseg.utils.image_file import read_bytes, read_header, read_image
from mmseg.utils.parallel import parallel_map
from mmseg.utils.progress import track

from ..checks.facts import Facts, Reading, inspect_files
from ..formats.source import Notes
from ..label_colours import colours_of
from .prepare import Pair, Pairs

STATISTICS = 500  # images that mean and deviation are of
MAX_COLOURS = 256  # of all label maps; more come from a lossy format
PEEKED = 16  # images that decide how all are read
GRAVE = ('missing', 'empty', 'unreadable', 'damaged', 'too-large', 'lossy', 'colour', 'grey-rgb', 'size-mismatch')
COLOURED = ('colour-annotation', 'grey-rgb-annotation')
WORTH_A_NOTE = {
    'blank-image': 'images of a single colour',
    'wrong-suffix-image': 'images that are not what their suffix says',
    'exif-unclear-image': 'images with an EXIF turn that their labels may or may not follow',
}


@dataclass
class Looked:
    """What was seen of a pair: facts, colours of a colour-coded label map, and sums over the image's pixels."""

    facts: Facts
    colours: dict[int, int] | None = None
    sums: tuple[int, np.ndarray, np.ndarray] | None = None


@dataclass
class Survey:
    """What all pairs show.

    Attributes:
        pairs: those that can be used, with their facts.
        reading: how their files are read; with ``label_palette``, all colours that label maps have.
        mean, std: for each channel, as loaded (colours: red, green, blue), of some of the images.
        values: label -> pixels.
        images_of: label -> images that have one.
        sizes: (height, width) -> images.
        channels, dtype: of the images as loaded.
    """

    pairs: list[tuple[Pair, Facts]]
    reading: Reading
    mean: list[float]
    std: list[float]
    values: Counter = field(default_factory=Counter)
    images_of: Counter = field(default_factory=Counter)
    sizes: Counter = field(default_factory=Counter)
    channels: int = 3
    dtype: str = 'uint8'

    @property
    def is_photo(self) -> bool:
        """Whether the images are 8-bit colours, as most networks were trained on."""
        return self.reading.color_type == 'color'


def survey(found: Pairs, notes: Notes, nproc: int) -> Survey:
    """Read all pairs.

    Args:
        found: the pairs.
        notes: gets what is wrong with which of them.
        nproc: processes.

    Raises:
        ValueError: no pair can be used, or the images are of several kinds.
    """
    reading = how_to_read(found)
    step = max(1, len(found.pairs) // STATISTICS)
    items = [(*found.paths(pair), number % step == 0) for number, pair in enumerate(found.pairs)]
    results = track(parallel_map(partial(_look, reading), items, nproc), len(items), 'Reading', 'images')
    usable, looked = [], []
    for pair, (_, seen, reason) in zip(found.pairs, results, strict=True):
        if seen is None:
            notes.add(f'pairs that cannot be read ({reason})', pair.image, left_out=True)
        elif _note_problems(pair, seen.facts, notes):
            usable.append((pair, seen.facts))
            looked.append(seen)
    if not usable:
        raise ValueError(f'none of {len(found.pairs)} pairs can be used: {_why(notes)}')
    if any(seen.colours is not None for seen in looked):
        reading = _read_colours(reading, looked)
    return _summary(usable, looked, reading)


def how_to_read(found: Pairs) -> Reading:
    """The loaders' settings, by some of the images."""
    step = max(1, len(found.pairs) // PEEKED)
    kinds = Counter(_kind(found.paths(pair)[0]) for pair in found.pairs[::step][:PEEKED])
    backend, color_type = max(kinds, key=lambda kind: (kind != ('cv2', 'color'), kinds[kind]))
    return Reading(color_type, backend)


def _kind(path: str) -> tuple[str, str]:
    """Decoder and colour type of an image."""
    try:
        content = read_bytes(path, 'image')
        header = read_header(content, path, 'image', 'tifffile')
        if header.format == 'PNG' or header.format == 'NPY':
            deep = header.format == 'PNG' and content[24] == 16
            array = read_image(path, color_type='unchanged') if deep or header.format == 'NPY' else None
        elif content[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
            if header.mode in ('L', 'RGB', 'RGBA', 'P', '1', 'CMYK'):
                return 'cv2', 'color'
            return 'tifffile', 'unchanged'
        else:
            array = None
    except (OSError, ValueError):
        return 'cv2', 'color'
    if array is None or (array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3):
        return 'cv2', 'color'
    return 'cv2', 'unchanged'


def _look(reading: Reading, item: tuple[str, str, bool]) -> Looked:
    image, label, in_statistics = item
    seen = Looked(inspect_files(reading, (image, label)))
    problems = [problem for problem in seen.facts.problems if problem[0] in COLOURED]
    if problems:
        colours, counts = np.unique(colours_of(read_bytes(label, 'annotation'), label), return_counts=True)
        if len(colours) <= MAX_COLOURS:
            seen.colours = dict(zip(colours.tolist(), counts.tolist(), strict=True))
            seen.facts.problems = [problem for problem in seen.facts.problems if problem not in problems]
            size = read_header(read_bytes(label, 'annotation'), label, 'annotation').size
            if size != tuple(seen.facts.image_size or size):
                seen.facts.note('size-mismatch', label, f'{size}, its image {seen.facts.image_size}')
    if in_statistics and seen.facts.image_size:
        pixels = read_image(image, label, reading.color_type, reading.image_backend)
        pixels = pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1).astype(np.float64)
        seen.sums = (len(pixels), pixels.sum(axis=0), (pixels**2).sum(axis=0))
    return seen


def _note_problems(pair: Pair, facts: Facts, notes: Notes) -> bool:
    """Note what is wrong; whether the pair can be used all the same."""
    usable = True
    for code, file, text in facts.problems:
        if code.startswith(GRAVE):
            usable = False
            notes.add(
                PROBLEMS.get(code, code.replace('-', ' ')), f'{pair.image} ({text})' if text else file, left_out=True
            )
        elif code in WORTH_A_NOTE:
            notes.add(WORTH_A_NOTE[code], file)
    if facts.image_size is None and usable:
        notes.add('images that cannot be read', pair.image, left_out=True)
        return False
    return usable


PROBLEMS = {
    'size-mismatch': 'label maps of another size than their image',
    'lossy-annotation': 'label maps in a lossy format, which invents labels',
    'colour-annotation': 'label maps of very many colours, which are no labels',
    'empty-image': 'empty image files',
    'empty-annotation': 'empty label maps',
    'damaged-image': 'truncated or damaged images',
    'damaged-annotation': 'truncated or damaged label maps',
    'unreadable-image': 'files that are no readable image',
    'unreadable-annotation': 'files that are no readable label map',
}


def _why(notes: Notes) -> str:
    return '; '.join(f'{note.count} {note.text}, such as {note.examples[0]}' for note in notes) or 'there are none'


def _read_colours(reading: Reading, looked: Sequence[Looked]) -> Reading:
    """Facts of colour-coded label maps: label k is the k-th of all colours, by number, black first.

    Raises:
        ValueError: some label maps are colours and others indices, or there are too many colours.
    """
    if any(seen.colours is None for seen in looked):
        bad = next(seen.facts.label for seen in looked if seen.colours is None)
        good = next(seen.facts.label for seen in looked if seen.colours is not None)
        raise ValueError(f'label maps are of two kinds, colours ({good}) and indices ({bad}): make them one')
    colours = sorted({colour for seen in looked for colour in seen.colours})
    if len(colours) > MAX_COLOURS:
        raise ValueError(
            f'the label maps have {len(colours)} colours: these are no classes, but come from a lossy format or from '
            'resizing'
        )
    index = {colour: place for place, colour in enumerate(colours)}
    for seen in looked:
        seen.facts.values = np.array([index[colour] for colour in seen.colours])
        seen.facts.counts = np.array(list(seen.colours.values()))
    palette = [[colour >> 16, colour >> 8 & 255, colour & 255] for colour in colours]
    return Reading(reading.color_type, reading.image_backend, label_palette=palette)


def _summary(usable: list[tuple[Pair, Facts]], looked: Sequence[Looked], reading: Reading) -> Survey:
    kinds = Counter(facts.image_kind for _, facts in usable)
    if len(kinds) > 1:
        examples = {kind: next(pair.image for pair, facts in usable if facts.image_kind == kind) for kind in kinds}
        listed = ', '.join(f'{n} of {k[0]} channel(s) of {k[1]} such as {examples[k]}' for k, n in kinds.most_common())
        raise ValueError(f'the images are of several kinds, which make no batch: {listed}. Convert them to one')
    sums = [seen.sums for seen in looked if seen.sums is not None]
    count = sum(pixels for pixels, _, _ in sums)
    mean = sum(total for _, total, _ in sums) / count
    std = np.sqrt(np.maximum(sum(squares for _, _, squares in sums) / count - mean**2, 0))
    order = slice(None, None, -1) if reading.color_type == 'color' else slice(None)  # loaded as blue, green, red
    digits = 3 if kinds.most_common(1)[0][0][1] == 'uint8' else 6
    result = Survey(
        usable,
        reading,
        [round(float(value), digits) for value in mean[order]],
        [round(float(value), digits) if value > 10**-digits else 1.0 for value in std[order]],
        channels=next(iter(kinds))[0],
        dtype=next(iter(kinds))[1],
    )
    for _, facts in usable:
        result.sizes[tuple(facts.image_size)] += 1
        for value, pixels in zip(facts.values.tolist(), facts.counts.tolist(), strict=True):
            result.values[int(value)] += int(pixels)
            result.images_of[int(value)] += 1
    return result
