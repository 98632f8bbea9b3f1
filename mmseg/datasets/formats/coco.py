"""COCO: instances (polygons and run lengths) and panoptic segments in JSON files."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from mmseg.utils.image_file import decode, read_bytes

from .reading import UNUSED, entry_of, note_unlabelled, once_each, read_json, the_image
from .shapes import Area, Polygons, Runs, Shape
from .source import ClassNames, Notes, Sample, Source
from .tree import Tree, split_of

GAPS = 'category ids that are not used (classes are counted without gaps)'
EMPTY = 'images that are listed without an object: background only'
UNKNOWN = 'annotations of a category or an image that the file does not list, not drawn'


def find(tree: Tree, ignore_rest: bool) -> Source | None:
    """COCO files, one a split or one for all; None where there are none."""
    notes, documents = Notes(), []
    for name in tree.with_suffix('.json'):
        if not _may_be(tree, name):
            continue
        document = read_json(tree, name, notes)
        if _is_coco(document):
            documents.append((name, document))
    if not documents:
        return None
    panoptic = [any(map(_has_segments, document['annotations'][:10])) for _, document in documents]
    if any(panoptic):
        documents = [pair for pair, is_panoptic in zip(documents, panoptic, strict=True) if is_panoptic]
    categories = _categories(documents)
    classes = ClassNames(list(categories.values()), ignore_rest or any(panoptic))
    index = {id_: classes.index(name) for id_, name in categories.items()}
    _note_gaps(categories, notes)
    read = _panoptic if any(panoptic) else _instances
    samples = [sample for name, document in documents for sample in read(tree, name, document, index, notes)]
    kind = 'COCO panoptic segments' if any(panoptic) else 'COCO instances'
    source = Source(kind, once_each(samples, notes), classes.names, notes=notes, drawn=True, fill=classes.fill)
    segments = {shape.file for sample in samples for shape in sample.shapes if isinstance(shape, Segments)}
    note_unlabelled(tree, source, segments)
    return source


def _may_be(tree: Tree, name: str) -> bool:
    """By its words: a folder may hold ten thousand small files of another kind."""
    content = tree.read(name)
    return not content.strip() or (
        b'"annotations"' in content and b'"categories"' in content and b'"images"' in content
    )


def _has_segments(annotation) -> bool:
    return isinstance(annotation, dict) and 'segments_info' in annotation


def _is_coco(document) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ('images', 'annotations', 'categories')
    )


def _categories(documents: list[tuple[str, dict]]) -> dict[int, str]:
    """Id -> name, ascending by id.

    Raises:
        ValueError: two files give one id two names, or there are no categories.
    """
    categories: dict[int, tuple[str, str]] = {}
    for file, document in documents:
        for category in document['categories']:
            with entry_of(file, 'category', category):
                id_, name = category['id'], str(category['name']).strip()
                if not isinstance(id_, int):
                    raise TypeError(f'the id {id_!r} is no integer')
            known = categories.setdefault(id_, (name, file))
            if known[0] != name:
                raise ValueError(f'category {id_} is {known[0]!r} in {known[1]} and {name!r} in {file}: which is it?')
    if not categories:
        raise ValueError(f'{documents[0][0]} lists no categories, so there are no classes')
    names = [name for name, _ in categories.values()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'{names.count(twice)} categories are called {twice!r}: give each a name of its own')
    return {id_: categories[id_][0] for id_ in sorted(categories)}


def _note_gaps(categories: dict[int, str], notes: Notes) -> None:
    for id_ in range(min(1, *categories), max(categories)):
        if id_ not in categories:
            notes.add(GAPS, str(id_))


def _instances(tree: Tree, name: str, document: dict, index: dict[int, int], notes: Notes):
    objects = defaultdict(list)
    for annotation in document['annotations']:
        with entry_of(name, 'annotation', annotation):
            objects[annotation.get('image_id')].append((float(annotation.get('area') or 0), annotation))
    for image in document['images']:
        with entry_of(name, 'image', image):
            found = the_image(tree, image['file_name'], name, notes)
            annotations = objects.pop(image['id'], [])
            size = (int(image['height']), int(image['width'])) if image.get('height') and image.get('width') else None
        if found is None:
            continue
        if not annotations:
            notes.add(EMPTY, image['file_name'])
        # They have no order: the largest first, so that small ones stay to be seen.
        annotations.sort(key=lambda pair: -pair[0])
        shapes = []
        for _, annotation in annotations:
            with entry_of(name, 'annotation', annotation):
                shape = _shape(annotation, index.get(annotation.get('category_id')))
            if shape is not None:
                shapes.append(shape)
            elif annotation.get('category_id') not in index:
                notes.add(UNKNOWN, f'{name}: annotation {annotation.get("id")}')
            else:
                notes.add(UNUSED, f'{name}: annotation {annotation.get("id")}')
        yield Sample(found, split=split_of(found) or split_of(name), size=size, shapes=shapes)
    for annotations in objects.values():
        notes.add(UNKNOWN, f'{name}: annotation {annotations[0][1].get("id")}', len(annotations))


def _shape(annotation: dict, index: int | None) -> Shape | None:
    segmentation = annotation.get('segmentation')
    if index is None or not segmentation:
        return None
    if isinstance(segmentation, dict):
        height, width = map(int, segmentation['size'])
        return Runs(index, 0, 0, (height, width), segmentation['counts'], by_columns=True)
    rings = tuple(np.reshape(ring, (-1, 2)).astype(np.float64) for ring in segmentation if len(ring) >= 6)
    return Polygons(index, rings) if rings else None


@dataclass(frozen=True)
class Segments(Shape):
    """All segments of an image: a PNG whose colours are segment ids, red + 256 green + 65536 blue.

    Attributes:
        file: its name in the tree.
        path: its path.
        classes: segment id -> class; ``index`` is what all else becomes.
    """

    file: str
    path: str
    classes: dict[int, int]

    def area(self, size: tuple[int, int]) -> Area:
        return slice(0, size[0]), slice(0, size[1]), np.ones(size, dtype=bool)

    def paint(self, labels: np.ndarray) -> bool:
        """Put all classes into a label map.

        Raises:
            ValueError: the PNG has a segment that the file does not list, or another size.
        """
        content = read_bytes(self.path, 'annotation')
        image = decode(content, self.path, 'annotation', 'color_ignore_orientation', 'pillow').astype(np.int64)
        ids, places = np.unique(image[..., 2] + 256 * image[..., 1] + 65536 * image[..., 0], return_inverse=True)
        unknown = [int(id_) for id_ in ids if id_ and int(id_) not in self.classes]
        if unknown:
            raise ValueError(f"'{self.path}' has segments {unknown[:5]}, which the JSON file does not list")
        table = np.array([self.classes.get(int(id_), self.index) for id_ in ids])
        if image.shape[:2] != labels.shape:
            raise ValueError(f"'{self.path}' has size {image.shape[:2]}, and its image {labels.shape}")
        labels[:] = table[places.reshape(labels.shape)]
        return True


def _panoptic(tree: Tree, name: str, document: dict, index: dict[int, int], notes: Notes):
    images = {}
    for image in document['images']:
        with entry_of(name, 'image', image):
            images[image['id']] = str(image['file_name'])
    for annotation in document['annotations']:
        with entry_of(name, 'annotation', annotation):
            file_name = images.get(annotation.get('image_id'))
            if file_name is None:
                notes.add(UNKNOWN, f'{name}: annotation of image {annotation.get("image_id")}')
                continue
            segments = _segments_file(tree, annotation['file_name'], name)
            found = [file for file in tree.find_image(file_name, name) if file != segments]
            if segments is None or len(found) != 1:
                the_image(tree, annotation['file_name'] if segments is None else file_name, name, notes)
                continue
            listed = [part for part in annotation['segments_info'] if part['category_id'] in index]
            if len(listed) < len(annotation['segments_info']):
                notes.add(UNKNOWN, f'{name}: {annotation["file_name"]}', len(annotation['segments_info']) - len(listed))
            classes = {part['id']: index[part['category_id']] for part in listed}
        shape = Segments(255, segments, tree.path(segments), classes)
        yield Sample(found[0], split=split_of(found[0]) or split_of(name), shapes=[shape])


def _segments_file(tree: Tree, file_name: str, beside: str) -> str | None:
    """The PNG of segments: in the folder that is called as the JSON file is, by COCO's rule."""
    folder = PurePosixPath(beside).with_suffix('')
    named = str(folder / file_name)
    if named in tree.files:
        return named
    found = [name for name in tree.find_image(file_name, beside) if 'panoptic' in name or 'segment' in name]
    return found[0] if len(found) == 1 else None
