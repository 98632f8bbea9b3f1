"""LabelMe: a JSON file beside each image."""

from pathlib import PurePosixPath

import numpy as np

from .reading import DAMAGED, UNUSED, entry_of, note_unlabelled, once_each, read_json, the_image
from .shapes import Ellipse, Png, Polygons, Shape, rectangle
from .source import ClassNames, Notes, Sample, Source
from .tree import Tree, split_of


def find(tree: Tree, ignore_rest: bool) -> Source | None:
    """The JSON files with shapes; None where there are none."""
    names = tree.with_suffix('.json')
    if not any(b'"shapes"' in tree.read(name) for name in names[:50]):
        return None
    notes, samples = Notes(), []
    documents = [(name, read_json(tree, name, notes)) for name in names]
    documents = [(name, document) for name, document in documents if document is not None]
    labelled = []
    for name, document in documents:
        if isinstance(document, dict) and isinstance(document.get('shapes'), list):
            labelled.append((name, document))
        else:
            notes.add(DAMAGED, f'{name} (no list "shapes")', left_out=True)
    # By name: in the order of the files, one more image would renumber the classes.
    used = set()
    for name, document in labelled:
        for entry in document['shapes']:
            with entry_of(name, 'shape', entry):
                used.add(str(entry['label']))
    classes = ClassNames(sorted(used), ignore_rest)
    for name, document in labelled:
        image = the_image(tree, str(document.get('imagePath') or PurePosixPath(name).stem), name, notes)
        if image is None:
            continue
        with entry_of(name, 'size', [document.get('imageHeight'), document.get('imageWidth')]):
            size = int(document.get('imageHeight') or 0), int(document.get('imageWidth') or 0)
        shapes = []
        for entry in document['shapes']:
            with entry_of(name, 'shape', entry):
                shape = _shape(entry, classes.index(str(entry['label'])))
            if shape is None:
                notes.add(UNUSED, f'{name}: {entry.get("shape_type")} {entry["label"]!r}')
            else:
                shapes.append(shape)
        samples.append(Sample(image, split=split_of(image), size=size if all(size) else None, shapes=shapes))
    source = Source('LabelMe', once_each(samples, notes), classes.names, notes=notes, drawn=True, fill=classes.fill)
    note_unlabelled(tree, source)
    return source


def _shape(entry: dict, index: int) -> Shape | None:
    points = np.array(entry.get('points') or [], dtype=np.float64).reshape(-1, 2)
    kind = entry.get('shape_type') or 'polygon'
    if kind == 'polygon' and len(points) >= 3:
        return Polygons(index, (points,))
    if kind == 'rectangle' and len(points) == 2:
        return rectangle(index, *points[0], *points[1])
    if kind == 'circle' and len(points) == 2:  # its centre, and a point on it
        radius = float(np.hypot(*(points[1] - points[0])))
        return Ellipse(index, tuple(points[0]), (radius, radius))
    if kind == 'mask' and entry.get('mask') and len(points):
        left, top = points.min(axis=0)
        return Png(index, round(top), round(left), entry['mask'])
    return None
