"""Files that name the classes, as tools and people write them."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mmseg.utils.text_file import AROUND, LINE_ENDS

from .tree import Tree

FILES = ('class_dict', 'class_names', 'classes', 'label_colors', 'label_colours', 'labelmap', 'labels', 'names')
SUFFIXES = ('.txt', '.csv', '.names')
# One pattern a way of writing a line; the first that all lines follow counts.
WAYS = (
    re.compile(r'(?P<name>[^:]+):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):.*'),  # CVAT's labelmap.txt
    re.compile(r'(?P<name>[^,;\t]+)[,;\t]\s*(?P<r>\d+)[,;\t]\s*(?P<g>\d+)[,;\t]\s*(?P<b>\d+)'),  # class_dict.csv
    re.compile(r'(?P<r>\d+)[ ,\t]+(?P<g>\d+)[ ,\t]+(?P<b>\d+)[ ,\t]+(?P<name>.+)'),  # CamVid's label_colors.txt
    re.compile(r'(?P<index>\d+)[ :,;\t]+(?P<name>[^,;\t]+)'),
    re.compile(r'(?P<name>[^,;\t]+)'),
)
HEADERS = re.compile(
    r'#.*|(class|name|label|id|index)s?([,;\t ]+(name|class|label|r|g|b|red|green|blue)s?)*', re.IGNORECASE
)


@dataclass(frozen=True)
class ClassList:
    """Names in the order of their indices, and their colours where the file has them."""

    file: str
    names: list[str]
    palette: list[list[int]] | None


def find_class_list(tree: Tree) -> ClassList | None:
    """The file in a tree that names the classes; None where there is none.

    Raises:
        ValueError: it cannot be understood, or there are two that differ.
    """
    files = [name for name in tree.with_suffix(*SUFFIXES) if PurePosixPath(name).stem.lower() in FILES]
    read = [parse_class_list(tree.read(name).decode('utf-8-sig', errors='replace'), name) for name in files]
    found = [one for one in read if one is not None]
    if any(one.names != found[0].names for one in found):
        raise ValueError(f'{" and ".join(one.file for one in found)} name different classes: say which, --classes FILE')
    return next((one for one in found if one.palette), found[0] if found else None)


def parse_class_list(text: str, file: str) -> ClassList | None:
    """The classes that a text names, one a line; None for an empty one.

    Raises:
        ValueError: indices have gaps, a name occurs twice, or a colour is none.
    """
    lines = [line for line in (line.strip(AROUND) for line in LINE_ENDS.split(text)) if line]
    while lines and HEADERS.fullmatch(lines[0]):
        del lines[0]
    if not lines:
        return None
    ways = ([row.groupdict() for row in map(way.fullmatch, lines) if row] for way in WAYS)
    groups = next((groups for groups in ways if len(groups) == len(lines)), None)
    if groups is None:
        raise ValueError(f"'{file}' names no classes, one a line, with or without 'red green blue' or an index")
    names = [group['name'].strip() for group in groups]
    if len(set(names)) < len(names):
        raise ValueError(f"'{file}' has the class {next(n for n in names if names.count(n) > 1)!r} twice")
    if 'index' in groups[0]:
        order = [int(group['index']) for group in groups]
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"'{file}' has class indices {order[:10]}, which do not run from 0 without gaps")
        names = [name for _, name in sorted(zip(order, names, strict=True))]
    palette = [[int(group[sign]) for sign in 'rgb'] for group in groups] if 'r' in groups[0] else None
    if palette and max(map(max, palette)) > 255:
        raise ValueError(f"'{file}' has a colour above 255")
    return ClassList(file, names, palette)
