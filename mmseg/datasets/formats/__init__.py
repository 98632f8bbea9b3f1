"""Formats that people have: each module finds its own in a folder or archive, and says what the samples are."""

from collections.abc import Callable

from . import coco, cvat, hugging_face, label_studio, labelme, listed, masks, yolo
from .source import Source
from .tree import Tree

__all__ = ['FORMATS', 'Source', 'Tree', 'find_source']

# By name, as asked for with --format.
SHAPES: dict[str, Callable[[Tree, bool], Source | None]] = {
    'coco': coco.find,
    'labelme': labelme.find,
    'cvat': cvat.find,
    'label-studio': label_studio.find,
    'yolo': yolo.find,
}
FORMATS = (*SHAPES, 'hugging-face', 'csv', 'masks')
VOC_LABELS = 'SegmentationClass'


def find_source(tree: Tree, kind: str | None = None, labels: str | None = None, ignore_rest: bool = False) -> Source:
    """What a folder or archive holds.

    Args:
        tree: its files.
        kind: one of ``FORMATS``; None looks for all.
        labels: a part of the paths of the label maps, where there are several.
        ignore_rest: what no shape covers is ignored, in place of being background.

    Raises:
        ValueError: nothing is found, or several that contradict each other.
    """
    if kind in (None, 'hugging-face') and (source := hugging_face.find(tree.root)):
        return source
    wanted = SHAPES if kind is None and labels is None else {kind: SHAPES[kind]} if kind in SHAPES else {}
    found = {name: source for name, find in wanted.items() if (source := find(tree, ignore_rest))}
    if kind in (None, 'csv') and labels is None and (source := listed.find(tree)):
        found['csv'] = source
    if kind in (None, 'masks') and 'csv' not in found:
        panoptic = any('panoptic' in source.kind for source in found.values())
        if not panoptic and (source := _find_masks(tree, labels, by_content=not found)):
            found['masks'] = source
    found = {name: source for name, source in found.items() if source.samples or len(found) == 1}
    if len(found) > 1:
        listed_ = ', '.join(f'{name} ({len(source.samples)} images)' for name, source in found.items())
        raise ValueError(
            f'the images are labelled in several ways: {listed_}. Say which, e.g. --format {next(iter(found))}'
        )
    if not found:
        raise ValueError(_nothing(tree, kind))
    return next(iter(found.values()))


def _find_masks(tree: Tree, labels: str | None, by_content: bool) -> Source | None:
    if labels is None and any(f'{VOC_LABELS}/' in name for name in tree.files):
        labels = f'{VOC_LABELS}/'
    source = masks.find(tree, labels, by_content)
    if source is not None and any('JPEGImages/' in sample.image for sample in source.samples):
        source.kind = 'Pascal VOC'
    return source


def _nothing(tree: Tree, kind: str | None) -> str:
    counts: dict[str, int] = {}
    for name in tree.files:
        suffix = name.rpartition('.')[2].lower() if '.' in name.rpartition('/')[2] else 'without suffix'
        counts[suffix] = counts.get(suffix, 0) + 1
    most = ', '.join(f'{n} {suffix}' for suffix, n in sorted(counts.items(), key=lambda pair: -pair[1])[:6])
    looked = kind or ', '.join(FORMATS)
    empty = [name for name in tree.with_suffix('.json', '.xml', '.csv', '.txt') if not tree.read(name).strip()]
    if empty:
        most += f'; {len(empty)} annotation files are empty, such as {empty[0]}'
    return (
        f'{tree.root!r} holds {len(tree.files)} files ({most}), {len(tree.images)} of them images, and no labels for '
        f'them that are understood (looked for: {looked}). Folders called images and labels, with files of equal '
        'names, are; so is a CSV file with the columns image,label'
    )
