"""CVAT: "CVAT for images 1.1", an XML file."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import numpy as np

from .reading import DAMAGED, UNUSED, entry_of, note_unlabelled, once_each, the_image
from .shapes import Ellipse, Polygons, Runs, Shape, rectangle
from .source import BACKGROUND, ClassNames, Notes, Sample, Source
from .tree import Tree, split_of

TRACKS = 'tracks of a video, which belong to no image file, not drawn'


def find(tree: Tree, ignore_rest: bool) -> Source | None:
    """The XML files of CVAT; None where there are none."""
    notes, roots = Notes(), []
    for name in tree.with_suffix('.xml'):
        content = tree.read(name)
        if content.strip() and b'<annotations' not in content:
            continue
        try:
            roots.append((name, ElementTree.fromstring(content)))
        except ElementTree.ParseError as error:
            notes.add(DAMAGED, f'{name} ({error})', left_out=True)
    if not roots:
        return None
    listed = {}
    for name, root in roots:
        for entry in root.iterfind('meta//labels/label'):
            text, colour = entry.findtext('name', '').strip(), entry.findtext('color', '')
            with entry_of(name, 'label', {'name': text, 'color': colour}):
                listed[text] = _colour(colour)
    used = sorted({label for _, root in roots for image in root.iterfind('image') for _, label in _labelled(image)})
    classes = ClassNames([*listed, *(name for name in used if name not in listed)], ignore_rest)
    samples = []
    for name, root in roots:
        for track in root.iterfind('track'):
            notes.add(TRACKS, f'{name}: track {track.get("id")}')
        for element in root.iterfind('image'):
            image = the_image(tree, element.get('name', ''), name, notes)
            if image is None:
                continue
            shapes = []
            for entry, label in _labelled(element):
                with entry_of(name, entry.tag, entry.attrib):
                    level, shape = float(entry.get('z_order') or 0), _shape(entry, classes.index(label))
                if shape is None:
                    notes.add(UNUSED, f'{element.get("name")}: {entry.tag} {label!r}')
                else:
                    shapes.append((level, shape))
            shapes.sort(key=lambda pair: pair[0])
            with entry_of(name, 'image', element.attrib):
                size = int(element.get('height') or 0), int(element.get('width') or 0)
            subset = split_of(f'{element.get("subset") or ""}/x')
            split = subset or split_of(image) or split_of(name)
            in_order = [shape for _, shape in shapes]
            samples.append(Sample(image, split=split, size=size if all(size) else None, shapes=in_order))
    colours = [[0, 0, 0] if name == BACKGROUND else listed.get(name) for name in classes.names]
    source = Source('CVAT for images', once_each(samples, notes), classes.names, notes=notes, drawn=True)
    known = [colour for colour in colours if colour is not None]
    source.palette = known if len(known) == len(colours) else None
    source.fill = classes.fill
    note_unlabelled(tree, source)
    return source


def _labelled(image: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str]]:
    """The shapes of an image that have a label, with it."""
    for entry in image:
        if label := entry.get('label'):
            yield entry, label


def _shape(entry: ElementTree.Element, index: int) -> Shape | None:
    def numbers(*keys: str) -> list[float]:
        return [float(entry.attrib[key]) for key in keys]

    if entry.tag == 'polygon':
        points = [pair.split(',') for pair in entry.get('points', '').split(';')]
        return Polygons(index, (np.array(points, dtype=np.float64),)) if len(points) >= 3 else None
    if entry.tag == 'box' and not float(entry.get('rotation') or 0):
        return rectangle(index, *numbers('xtl', 'ytl', 'xbr', 'ybr'))
    if entry.tag == 'ellipse':
        x, y, across, down = numbers('cx', 'cy', 'rx', 'ry')
        return Ellipse(index, (x, y), (across, down), float(entry.get('rotation') or 0))
    if entry.tag == 'mask':
        left, top, width, height = map(int, numbers('left', 'top', 'width', 'height'))
        runs = [int(run) for run in entry.get('rle', '').split(',')]
        return Runs(index, top, left, (height, width), runs)
    return None


def _colour(text: str) -> list[int] | None:
    code = text.lstrip('#')
    return [int(code[i : i + 2], 16) for i in (0, 2, 4)] if len(code) == 6 else None
