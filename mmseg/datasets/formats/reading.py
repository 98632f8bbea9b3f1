"""Reading annotation files of which some may be empty, cut, or of another kind."""

import json
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any

from .source import Notes, Source
from .tree import Tree

DAMAGED = 'annotation files that are empty or damaged'
NO_IMAGE = 'annotations whose image is not there'
SEVERAL_IMAGES = 'annotations whose image cannot be told: several have its name'
UNUSED = 'shapes that enclose no area (points, lines, boxes), not drawn'
UNLABELLED = 'images without labels'
REPEATED = 'images annotated more than once, of which the last counts'


def read_json(tree: Tree, name: str, notes: Notes) -> Any:
    """What a JSON file holds; None, and a note, for one that is damaged."""
    try:
        return json.loads(tree.read(name).decode('utf-8-sig'))
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are both
        notes.add(DAMAGED, f'{name} ({error})', left_out=True)
        return None


@contextmanager
def entry_of(name: str, kind: str, content: object) -> Iterator[None]:
    """Say which entry of which file it is that lacks something, or has something else in its place.

    Args:
        name: the annotation file.
        kind: what the entry is, in a word.
        content: the entry.

    Raises:
        ValueError: in place of the error that Python has for it.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = f'{error} is missing' if isinstance(error, KeyError) else str(error)
        shown = json.dumps(content, default=str)
        raise ValueError(f'{name}: this {kind} cannot be read, {reason}: {shown[:160]}') from error


def the_image(tree: Tree, text: str, beside: str, notes: Notes) -> str | None:
    """The one image that an annotation means; None, and a note, where there is none or more than one."""
    found = tree.find_image(text, beside)
    if len(found) == 1:
        return found[0]
    if found:
        notes.add(SEVERAL_IMAGES, f'{text}: {", ".join(found[:3])}', left_out=True)
    else:
        notes.add(NO_IMAGE, f'{text} (in {beside})', left_out=True)
    return None


def note_unlabelled(tree: Tree, source: Source, others: Set[str] = frozenset()) -> None:
    """Count the images that no sample has; ``others`` are label maps and the like."""
    used = {sample.image for sample in source.samples} | others
    for name in tree.images:
        if name not in used:
            source.notes.add(UNLABELLED, name, left_out=True)


def once_each(samples: list, notes: Notes) -> list:
    """The samples by image, the last of each."""
    by_image = {}
    for sample in samples:
        if sample.image in by_image:
            notes.add(REPEATED, sample.image)
        by_image[sample.image] = sample
    return [by_image[image] for image in sorted(by_image)]
