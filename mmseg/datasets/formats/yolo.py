"""YOLO: a text file an image, a polygon a line, in shares of the image's width and height."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import yaml

from .reading import DAMAGED, UNUSED, entry_of, note_unlabelled, once_each, the_image
from .shapes import Area, Polygons, Shape
from .source import ClassNames, Notes, Sample, Source
from .tree import Tree, split_of

NAME_FILES = ('data.yaml', 'dataset.yaml', 'data.yml', 'dataset.yml')
LIST_FILES = ('classes.txt', 'obj.names')
EMPTY = 'images with an empty label file: background only'
MIN_NUMBERS = 7  # of a line: class and three points


def find(tree: Tree, ignore_rest: bool) -> Source | None:
    """Text files of polygons; None where there are none."""
    texts = [name for name in tree.with_suffix('.txt') if PurePosixPath(name).name.lower() not in LIST_FILES]
    stems = {PurePosixPath(name).stem for name in tree.images}
    texts = [name for name in texts if PurePosixPath(name).stem in stems]
    if not any(_is_polygons(tree, name) for name in texts[:50]):
        return None
    notes, samples = Notes(), []
    parsed = {name: _parse(tree, name, notes) for name in texts}
    highest = max((number for lines in parsed.values() if lines for number, _ in lines), default=0)
    names = _names(tree, highest)
    classes = ClassNames(list(names.values()), ignore_rest)
    for name, lines in parsed.items():
        if lines is None:
            continue
        image = the_image(tree, _image_name(name), name, notes)
        if image is None:
            continue
        if not lines:
            notes.add(EMPTY, name)
        shapes = [Relative(classes.index(names[number]), (points,)) for number, points in lines if len(points) >= 3]
        notes.add(UNUSED, name, len(lines) - len(shapes))
        shapes.sort(key=lambda shape: -shape.extent())  # no order is given: small ones stay to be seen
        samples.append(Sample(image, split=split_of(image) or split_of(name), shapes=shapes))
    source = Source('YOLO polygons', once_each(samples, notes), classes.names, notes=notes, drawn=True)
    source.fill = classes.fill
    note_unlabelled(tree, source)
    return source


@dataclass(frozen=True)
class Relative(Polygons):
    """Polygons in shares of the image's sides."""

    def area(self, size: tuple[int, int]) -> Area:
        return self._absolute(size).area(size)

    def leaves(self, size: tuple[int, int]) -> bool:
        return self._absolute(size).leaves(size)

    def extent(self) -> float:
        """Width times height of the box around it."""
        return float(np.prod(np.ptp(np.concatenate(self.rings), axis=0)))

    def _absolute(self, size: tuple[int, int]) -> Shape:
        return Polygons(self.index, tuple(ring * (size[1], size[0]) for ring in self.rings))


def _is_polygons(tree: Tree, name: str) -> bool:
    lines = _parse(tree, name, Notes())
    return any(len(points) >= 3 for _, points in lines or ())


def _parse(tree: Tree, name: str, notes: Notes) -> list[tuple[int, np.ndarray]] | None:
    """Class and points of each line; a box, which is five numbers, has none. None, and a note, for other text."""
    found = []
    try:
        for line in tree.read(name).decode('utf-8-sig').splitlines():
            words = line.split()
            if not words:
                continue
            number, values = int(words[0]), np.array(words[1:], dtype=np.float64)
            if number < 0 or (len(words) >= MIN_NUMBERS and len(values) % 2) or len(values) < 4:
                raise ValueError(f'{line[:40]!r} is no class and points')
            found.append((number, values.reshape(-1, 2) if len(words) >= MIN_NUMBERS else np.zeros((0, 2))))
    except ValueError as error:
        notes.add(DAMAGED, f'{name} ({error})', left_out=True)
        return None
    return found


def _image_name(name: str) -> str:
    """By YOLO's rule: images/train/a for labels/train/a.txt."""
    path = PurePosixPath(name).with_suffix('')
    parts = list(path.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == 'labels':
            parts[place] = 'images'
            break
    return '/'.join(parts)


def _names(tree: Tree, highest: int) -> dict[int, str]:
    """Class number -> name.

    Raises:
        ValueError: a label file has a class without a name.
    """
    for name in tree.files:
        base = PurePosixPath(name).name.lower()
        if base in NAME_FILES:
            try:
                content = yaml.safe_load(tree.read(name))
            except yaml.YAMLError as error:
                raise ValueError(f'{name} is no YAML: {error}') from error
            names = content.get('names') if isinstance(content, dict) else None
            if names is not None:
                with entry_of(name, 'list of names', names):
                    if not isinstance(names, (dict, list)):
                        raise TypeError('write [cat, dog] or {0: cat, 1: dog}')
                    pairs = names.items() if isinstance(names, dict) else enumerate(names)
                    numbered = {int(number): str(text) for number, text in pairs}
                return _checked(numbered, highest, name)
        if base in LIST_FILES:
            lines = [line.strip() for line in tree.read(name).decode('utf-8-sig', 'replace').splitlines()]
            return _checked(dict(enumerate(filter(None, lines))), highest, name)
    return {number: f'class_{number}' for number in range(highest + 1)}


def _checked(names: dict[int, str], highest: int, file: str) -> dict[int, str]:
    if highest not in names:
        raise ValueError(
            f'label files have class {highest}, and {file} names {len(names)}: {list(names.values())[:10]}'
        )
    return names
