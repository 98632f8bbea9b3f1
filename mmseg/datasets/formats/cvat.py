"""CVAT: "CVAT for images 1.1", an XML file."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from .reading import DAMAGED, UNUSED, entry_of, note_unlabelled, once_each, the_image
from .shapes import Bitmap, Ellipse, Polygons, Shape, rectangle
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
    listed = {
        label.findtext('name', '').strip(): _colour(label.findtext('color'))
        for _, root in roots
        for label in root.iterfind('meta//labels/label')
    }
    used = sorted({shape.get('label') for _, root in roots for image in root.iterfind('image') for shape in image})
    classes = ClassNames([*listed, *(name for name in used if name not in listed and name)], ignore_rest)
    samples = []
    for name, root in roots:
        for track in root.iterfind('track'):
            notes.add(TRACKS, f'{name}: track {track.get("id")}')
        for element in root.iterfind('image'):
            image = the_image(tree, element.get('name', ''), name, notes)
            if image is None:
                continue
            shapes = []
            for entry in sorted((e for e in element if e.get('label')), key=lambda e: float(e.get('z_order') or 0)):
                with entry_of(name, entry.tag, entry.attrib):
                    shape = _shape(entry, classes.index(entry.get('label')))
                if shape is None:
                    notes.add(UNUSED, f'{element.get("name")}: {entry.tag} {entry.get("label")!r}')
                else:
                    shapes.append(shape)
            size = (int(element.get('height') or 0), int(element.get('width') or 0))
            subset = split_of(f'{element.get("subset") or ""}/x')
            split = subset or split_of(image) or split_of(name)
            samples.append(Sample(image, split=split, size=size if all(size) else None, shapes=shapes))
    colours = [[0, 0, 0] if name == BACKGROUND else listed.get(name) for name in classes.names]
    source = Source('CVAT for images', once_each(samples, notes), classes.names, notes=notes, drawn=True)
    source.palette = colours if all(colours) else None
    source.fill = classes.fill
    note_unlabelled(tree, source)
    return source


def _shape(entry: ElementTree.Element, index: int) -> Shape | None:
    def numbers(*keys: str) -> list[float]:
        return [float(entry.attrib[key]) for key in keys]

    if entry.tag == 'polygon':
        points = [pair.split(',') for pair in entry.get('points', '').split(';')]
        return Polygons(index, (np.array(points, dtype=np.float64),)) if len(points) >= 3 else None
    if entry.tag == 'box' and not float(entry.get('rotation') or 0):
        return rectangle(index, *numbers('xtl', 'ytl', 'xbr', 'ybr'))
    if entry.tag == 'ellipse':
        centre, radii = tuple(numbers('cx', 'cy')), tuple(numbers('rx', 'ry'))
        return Ellipse(index, centre, radii, float(entry.get('rotation') or 0))
    if entry.tag == 'mask':
        left, top, width, height = map(int, numbers('left', 'top', 'width', 'height'))
        runs = [int(run) for run in entry.get('rle', '').split(',')]
        return Bitmap(index, top, left, (height, width), runs, 'runs')
    return None


def _colour(text: str | None) -> list[int] | None:
    code = (text or '').lstrip('#')
    return [int(code[i : i + 2], 16) for i in (0, 2, 4)] if len(code) == 6 else None
