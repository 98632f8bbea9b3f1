"""Images and label maps that belong together by their names, in whichever folders they lie."""

import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from mmseg.utils.array_file import is_npy

from .reading import UNLABELLED
from .source import Notes, Sample, Source
from .tree import SPLITS, Tree, split_of

LABEL_WORDS = frozenset((
    'ann', 'annot', 'annotation', 'annotations', 'annotated', 'anns', 'color', 'colour', 'gray', 'gt', 'gtcoarse',
    'gtfine', 'groundtruth', 'instanceids', 'instances', 'instancetrainids', 'label', 'labelcol', 'labelid', 'labelids',
    'labels', 'labeltrainids', 'lbl', 'lbls', 'manual', 'mask', 'masks', 'matte', 'panoptic', 'seg', 'segmap',
    'segmaps', 'segmentation', 'segmentationclass', 'segmentationclassaug', 'segmentationclasspng',
    'segmentationobject', 'segmentations', 'segs', 'semantic', 'target', 'targets', 'truth',
))  # fmt: skip
IMAGE_WORDS = frozenset((
    'image', 'images', 'img', 'imgs', 'input', 'inputs', 'jpegimages', 'leftimg', 'original', 'originals', 'photo',
    'photos', 'picture', 'pictures', 'rgb', 'scene', 'scenes', 'src',
))  # fmt: skip
SPLIT_WORDS = sorted((word for words in SPLITS.values() for word in words), key=len, reverse=True)
JOINED = re.compile(f'(?P<split>{"|".join(SPLIT_WORDS)})?(?P<role>[a-z]+?)(?P<end>tr|ts|va|bit|png|jpg)?$')
ENDS = {'tr': 'train', 'ts': 'test', 'va': 'val'}  # imagesTr, labelsTr
PEEKED = 4  # files of a folder that are looked into
FEW = 64  # values, or colours, that a label map has at most
ORPHANS = 'label maps without an image'
SEVERAL = 'images with several label maps'
AMBIGUOUS = 'images of one name, to which the same label map would belong'


@dataclass(frozen=True)
class Name:
    """What a path says.

    Attributes:
        path: it.
        key: what image and label map have in common.
        role: 'image' or 'label' as its folders say, else as the file's own name does; '' for neither.
        words: those that mark it as a label map.
    """

    path: str
    key: tuple[str, ...]
    role: str
    words: tuple[str, ...]


def find(tree: Tree, labels: str | None = None, by_content: bool = True) -> Source | None:
    """Pairs of images and label maps; None where no pair is found.

    Args:
        tree: the files.
        labels: only files whose path contains this are label maps.
        by_content: look into files where their names do not tell.

    Raises:
        ValueError: there are two sets of label maps, and ``labels`` does not choose.
    """
    names = [_read_name(path) for path in tree.images]
    if labels is not None:
        names = [name for name in (_chosen(name, labels) for name in names) if name is not None]
    if not any(name.role == 'label' for name in names) and by_content and labels is None:
        names = _roles_by_content(tree, names)
    maps = [name for name in names if name.role == 'label']
    images = [name for name in names if name.role != 'label']
    if not maps or not images:
        return None
    maps = _one_set(maps, {name.key for name in images}, labels is not None)
    notes = Notes()
    by_key = _unique(images, notes)
    by_stem = _alone(by_key)
    found = defaultdict(list)
    for label in maps:
        image = by_key.get(label.key) or by_stem.get(label.key[-1:]) or _by_beginning(label.key, by_key)
        if image is None:
            notes.add(ORPHANS, label.path, left_out=True)
        else:
            found[image.path].append(label.path)
    if not found:
        return None
    for path, several in found.items():
        if len(several) > 1:
            notes.add(SEVERAL, f'{path}: {", ".join(several[:3])}', left_out=True)
    pairs = {path: several[0] for path, several in found.items() if len(several) == 1}
    for one in by_key.values():
        if one.path not in found:
            notes.add(UNLABELLED, one.path, left_out=True)
    samples = [Sample(image, label, split_of(image) or split_of(label)) for image, label in sorted(pairs.items())]
    return Source('images and label maps', samples, notes=notes)


def _chosen(name: Name, labels: str) -> Name | None:
    """A name with the role that the choice of label maps gives it; None for other label maps."""
    if labels.lower() in name.path.lower():
        return replace(name, role='label')
    return None if name.role == 'label' else name


def _read_name(path: str) -> Name:
    parts = PurePosixPath(path)
    key, words, roles = [], [], []
    for place, part in enumerate((*parts.parent.parts, parts.stem)):
        kept = []
        for token in filter(None, re.split(r'[^0-9A-Za-z]+', part)):
            role, rest = _role(token.lower())
            if role == 'label':
                words.append(token.lower().rstrip('0123456789'))
            if role:
                roles.append((place < len(parts.parts) - 1, role))
                token = rest
            if token:
                kept.append(token)
        if kept:
            key.append('_'.join(kept))
    of_folder = [role for in_folder, role in roles if in_folder]
    role = (of_folder or [role for _, role in roles] or [''])[-1]
    return Name(path, tuple(key), role, (*words, parts.suffix.lower()))


def _role(token: str) -> tuple[str, str]:
    """'label', 'image' or '', and what is left of the word: 'train' of 'trainannot', '7' of 'mask7'."""
    word = token.rstrip('0123456789')
    digits = token[len(word) :]
    for words, role in ((LABEL_WORDS, 'label'), (IMAGE_WORDS, 'image')):
        if word in words:
            return role, digits
        match = JOINED.match(re.sub(r'\d', '', token))
        if match and match['role'] in words:
            return role, match['split'] or ENDS.get(match['end'], '')
    return '', token


def _roles_by_content(tree: Tree, names: list[Name]) -> list[Name]:
    """Label maps are files of few values; told for all of a folder and suffix by some of them."""
    groups = defaultdict(list)
    for name in names:
        groups[str(PurePosixPath(name.path).parent), name.words[-1]].append(name)
    decided = []
    for group in groups.values():
        step = max(1, len(group) // PEEKED)
        role = 'label' if all(_has_few_values(tree.read(name.path)) for name in group[::step][:PEEKED]) else 'image'
        decided += [replace(name, role=role) for name in group]
    folders = {role: [name.key[:-1] for name in decided if name.role == role] for role in ('label', 'image')}
    for depth in range(max(len(name.key) for name in names) - 1):
        words = [{folder[depth] for folder in of_role if depth < len(folder)} for of_role in folders.values()]
        if all(words) and not words[0] & words[1]:  # the folders that tell the two apart, and are no part of a name
            return [replace(name, key=name.key[:depth] + name.key[depth + 1 :]) for name in decided]
    return decided


def _has_few_values(content: bytes) -> bool:
    try:
        if is_npy(content):
            array = np.load(io.BytesIO(content))
            return array.ndim == 2 and array.dtype.kind in 'uib' and len(np.unique(array)) <= FEW
        with Image.open(io.BytesIO(content)) as image:
            if image.format == 'JPEG':
                return False
            if image.mode in ('RGB', 'RGBA', 'P'):
                return len(image.convert('RGB').getcolors(FEW) or ()) > 0
            return len(np.unique(np.asarray(image))) <= FEW
    except (OSError, ValueError):
        return False


def _one_set(maps: list[Name], images: set, chosen: bool) -> list[Name]:
    """The label maps of the one kind that is there.

    Raises:
        ValueError: there are several kinds for the same images.
    """
    sets = defaultdict(list)
    for name in maps:
        sets[name.words].append(name)
    taken: dict[tuple, str] = {}
    for members in sets.values():
        for name in members:
            other = taken.setdefault(name.key, name.path)
            if other != name.path and name.key in images:
                counts = ', '.join(f'{len(group)} such as {group[0].path}' for group in sets.values())
                more = (
                    'Write more of its path, --labels TEXT'
                    if chosen
                    else 'Say which, --labels TEXT, by a part of its path'
                )
                raise ValueError(
                    f'there are several label maps for one image, e.g. {other} and {name.path} ({counts}). {more}'
                )
    return maps


def _unique(images: list[Name], notes: Notes) -> dict[tuple, Name]:
    by_key = defaultdict(list)
    for name in images:
        by_key[name.key].append(name)
    for group in by_key.values():
        if len(group) > 1:
            notes.add(AMBIGUOUS, ' and '.join(name.path for name in group[:3]), len(group), left_out=True)
    return {key: group[0] for key, group in by_key.items() if len(group) == 1}


def _alone(by_key: dict[tuple, Name]) -> dict[tuple, Name]:
    """The images whose own name, without folders, no other image has: their label maps' folders may differ in more."""
    counts = Counter(key[-1:] for key in by_key)
    return {key[-1:]: name for key, name in by_key.items() if key and counts[key[-1:]] == 1}


def _by_beginning(key: tuple[str, ...], by_key: dict[tuple, Name]) -> Name | None:
    """The image whose name the label map's begins with: a_L for a."""
    name = key[-1] if key else ''
    while '_' in name:
        name = name.rpartition('_')[0]
        shorter = (*key[:-1], name)
        if shorter in by_key:
            return by_key[shorter]
    return None
