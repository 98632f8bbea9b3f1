"""Label Studio: its JSON export, with polygons, rectangles, ellipses and brush strokes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from .reading import UNUSED, entry_of, note_unlabelled, once_each, read_json, the_image
from .shapes import Area, Ellipse, Polygons, Shape
from .source import ClassNames, Notes, Sample, Source
from .tree import IMAGE_SUFFIXES, Tree, split_of

KINDS = ('polygonlabels', 'rectanglelabels', 'ellipselabels', 'brushlabels')
SKIPPED = 'tasks that were skipped or not annotated'
SEVERAL = 'tasks with several annotations, of which the last counts'
UPLOAD = re.compile(r'^[0-9a-f]{8}-')  # what Label Studio puts before the names of uploaded files


def find(tree: Tree, ignore_rest: bool) -> Source | None:
    """The exports; None where there are none."""
    notes, tasks = Notes(), []
    for name in tree.with_suffix('.json'):
        if b'labels"' not in tree.read(name) and b'"annotations"' not in tree.read(name):
            continue
        document = read_json(tree, name, notes)
        if isinstance(document, list):
            tasks += [(name, task) for task in document if isinstance(task, dict) and _is_task(task)]
        elif isinstance(document, dict) and 'data' in document and _is_task(document):
            tasks.append((name, document))
    if not tasks:
        return None
    results = []
    used: set[str] = set()
    for name, task in tasks:
        with entry_of(name, 'task', task):
            found = _results(task, name, notes)
            used.update(label for result in found for label in _labels(result))
        results.append((name, task, found))
    classes = ClassNames(sorted(used), ignore_rest)
    samples = []
    for name, task, found in results:
        with entry_of(name, 'task', task):
            image = _image(tree, task, name, notes)
        if image is None or not found:
            continue
        shapes, size = [], None
        for result in found:
            with entry_of(name, f'result of task {task.get("id")}', result):
                labels = _labels(result)
                shape = _shape(result, classes.index(labels[0])) if labels else None
            if shape is None:
                notes.add(UNUSED, f'task {task.get("id")}: {result.get("type")}')
            else:
                shapes.append(shape)
                size = (result['original_height'], result['original_width'])
        samples.append(Sample(image, split=split_of(image) or split_of(name), size=size, shapes=shapes))
    source = Source('Label Studio', once_each(samples, notes), classes.names, notes=notes, drawn=True)
    source.fill = classes.fill
    note_unlabelled(tree, source)
    return source


def _is_task(task: dict) -> bool:
    return 'annotations' in task or 'completions' in task or any(_short(task))


def _short(task: dict) -> Iterator[dict]:
    """The results of the export "JSON-MIN", which lie in the task itself."""
    for value in task.values():
        for result in value if isinstance(value, list) else ():
            if isinstance(result, dict) and 'original_width' in result and any(kind in result for kind in KINDS):
                yield {**result, 'value': result, 'type': next(kind for kind in KINDS if kind in result)}


def _results(task: dict, name: str, notes: Notes) -> list[dict]:
    done = [one for one in task.get('annotations') or task.get('completions') or () if not one.get('was_cancelled')]
    short = list(_short(task))
    where = f'{name}: task {task.get("id")}'
    if not done and not short:
        notes.add(SKIPPED, where, left_out=True)
        return []
    if len(done) > 1:
        notes.add(SEVERAL, where)
    results = done[-1].get('result', []) if done else short
    return [result for result in results if isinstance(result.get('value'), dict)]


def _labels(result: dict) -> list[str]:
    return [str(label) for label in result['value'].get(result.get('type')) or []]


def _image(tree: Tree, task: dict, name: str, notes: Notes) -> str | None:
    data = task.get('data', task)
    texts = [task.get('file_upload'), *(value for value in data.values() if isinstance(value, str))]
    for text in filter(None, texts):
        parts = urlsplit(text)
        path = unquote(parse_qs(parts.query).get('d', [parts.path])[0])
        if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if not tree.find_image(path, name):
            own = UPLOAD.sub('', PurePosixPath(path).name)
            path = own if tree.find_image(own, name) else path
        return the_image(tree, path, name, notes)
    return the_image(tree, f'task {task.get("id")}', name, notes)


def _shape(result: dict, index: int) -> Shape | None:
    """A shape; its numbers are percents of the image's width and height."""
    value, kind = result['value'], result.get('type')
    scale = np.array([result['original_width'], result['original_height']]) / 100
    if kind == 'polygonlabels' and len(value.get('points', ())) >= 3:
        return Polygons(index, (np.array(value['points'], dtype=np.float64) * scale,))
    if kind == 'rectanglelabels':
        corner, sides = np.array([value['x'], value['y']]) * scale, np.array([value['width'], value['height']]) * scale
        angle = np.radians(value.get('rotation') or 0)  # clockwise about the corner
        across = np.array([np.cos(angle), np.sin(angle)]) * sides[0]
        down = np.array([-np.sin(angle), np.cos(angle)]) * sides[1]
        return Polygons(index, (np.array([corner, corner + across, corner + across + down, corner + down]),))
    if kind == 'ellipselabels':
        centre, radii = (
            np.array([value['x'], value['y']]) * scale,
            np.array([value['radiusX'], value['radiusY']]) * scale,
        )
        return Ellipse(index, tuple(centre), tuple(radii), value.get('rotation') or 0)
    if kind == 'brushlabels' and value.get('format') == 'rle':
        return Brush(index, (result['original_height'], result['original_width']), value['rle'])
    return None


@dataclass(frozen=True)
class Brush(Shape):
    """Brush strokes: an image of red, green, blue and opacity, packed by the scheme "rle-pack"; opaque pixels count.

    Attributes:
        shape: (height, width).
        packed: bytes.
    """

    shape: tuple[int, int]
    packed: list[int]

    def area(self, size: tuple[int, int]) -> Area:
        values = unpack_rle(np.array(self.packed, dtype=np.uint8))
        if len(values) != 4 * self.shape[0] * self.shape[1] or self.shape != tuple(size):
            raise ValueError(f'brush strokes of {len(values)} numbers, {self.shape}, on an image of {tuple(size)}')
        return slice(0, size[0]), slice(0, size[1]), values.reshape(*size, 4)[..., 3] > 0


def unpack_rle(packed: np.ndarray) -> np.ndarray:
    """The numbers that "rle-pack" packed into bytes.

    A stream of bits, highest first: the count of numbers (32 bits); their width and four widths of lengths, each less 1
    (5 bits, four times 4); then, until all are there, a flag, which of the four widths (2 bits), a length less 1, and
    one number that repeats (flag 1), or as many as the length says.

    Raises:
        ValueError: the stream ends early.
    """
    bits = np.unpackbits(packed)
    place = 0

    def read(width: int) -> int:
        nonlocal place
        place += width
        if place > len(bits):
            raise ValueError('packed brush strokes end too early')
        return int(''.join(map(str, bits[place - width : place])), 2)

    count, width = read(32), read(5) + 1
    widths = [read(4) + 1 for _ in range(4)]
    values, done = np.zeros(count, dtype=np.int64), 0
    powers = 1 << np.arange(width)[::-1]
    while done < count:
        repeats = read(1)
        length = read(widths[read(2)]) + 1
        if repeats:
            values[done : done + length] = read(width)
        else:
            length = min(length, count - done)
            if place + length * width > len(bits):
                raise ValueError('packed brush strokes end too early')
            values[done : done + length] = bits[place : place + length * width].reshape(length, width) @ powers
            place += length * width
        done += length
    return values
