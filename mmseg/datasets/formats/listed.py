"""A CSV file of pairs, and text files that say which image belongs to which split."""

from pathlib import PurePosixPath

from ..pairs import parse_pairs
from .reading import NO_IMAGE, UNLABELLED
from .source import Notes, Sample, Source
from .tree import SPLITS, Tree, split_of, strip_split


def find(tree: Tree) -> Source | None:
    """The CSV files that pair files of the tree; None where there are none."""
    samples, notes, lists = [], Notes(), []
    for name in tree.with_suffix('.csv', '.tsv'):
        try:
            pairs = parse_pairs(tree.read(name).decode('utf-8-sig'), name)
        except ValueError:  # a CSV of something else
            continue
        placed = [(pair, _place(tree, pair.image, name), _place(tree, pair.label, name)) for pair in pairs]
        if not any(image and label for _, image, label in placed):
            continue
        lists.append(name)
        for pair, image, label in placed:
            if image and label:
                split = strip_split(pair.split)[0] or split_of(name) or split_of(image)
                samples.append(Sample(image, label, split))
            elif image and not pair.label:
                notes.add(UNLABELLED, image, left_out=True)
            else:
                notes.add(NO_IMAGE if not image else 'label maps that are not there', pair.image, left_out=True)
    return Source(f'pairs listed in {", ".join(lists)}', samples, notes=notes) if samples else None


def _place(tree: Tree, text: str, beside: str) -> str | None:
    """The file that a cell names: from the list's folder, from the root, or wherever its path's ending fits."""
    if not text:
        return None
    found = tree.find_image(text, beside)
    for exact in (str(PurePosixPath(beside).parent / text), text):
        if exact in found:
            return exact
    return found[0] if len(found) == 1 else None


def splits_of_lists(tree: Tree, samples: list[Sample]) -> dict[str, str]:
    """Image -> split, by files such as train.txt with a name a line.

    Where there are several sets of lists, those in a folder called "Segmentation" count (Pascal VOC).
    """
    lists = [name for name in tree.with_suffix('.txt') if PurePosixPath(name).stem.lower() in _LISTS]
    lists = [name for name in lists if 'segmentation' in name.lower()] or lists
    by_name = {}
    for sample in samples:
        path = PurePosixPath(sample.image)
        by_name[path.stem] = by_name[path.name] = by_name[sample.image] = sample.image
        by_name[str(path.with_suffix(''))] = sample.image
    found: dict[str, str] = {}
    for name in lists:
        words = [
            line.split()[0] for line in tree.read(name).decode('utf-8-sig', 'replace').splitlines() if line.strip()
        ]
        images = [by_name.get(word.lstrip('./')) or by_name.get(PurePosixPath(word).stem) for word in words]
        split, _ = strip_split(PurePosixPath(name).stem)
        if split is not None:
            found |= {image: split for image in images if image is not None}
    return found


_LISTS = {word for words in SPLITS.values() for word in words}
