"""From the values in label maps to classes: names, colours, and what each value means."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mmseg.registry import DATASETS
from mmseg.utils.text_file import read_text

from ..basesegdataset import BaseSegDataset
from ..formats.class_lists import ClassList, find_class_list, parse_class_list
from ..formats.source import Notes, Source
from ..formats.tree import Tree
from ..metainfo import distinct_palette
from .survey import Survey

IGNORED = 255
VOC_NAMES = 'PascalVOCDataset'


@dataclass
class Classes:
    """What a config says about classes.

    Attributes:
        names: of the classes.
        palette: [r, g, b] of each.
        label_palette: [r, g, b] of each label value, of colour-coded label maps; None for others.
        label_map: value -> class, -1 for ignored; None where values are classes.
        reduce_zero_label: value 0 is ignored, and class k is value k + 1.
        origin: where the names come from, in words.
        pixels: of each class, over all pairs.
        ignored: pixels of no class.
    """

    names: list[str]
    palette: list[list[int]]
    label_palette: list[list[int]] | None = None
    label_map: dict[int, int] | None = None
    reduce_zero_label: bool = False
    origin: str = ''
    pixels: list[int] = field(default_factory=list)
    ignored: int = 0

    def index(self, value: int) -> int:
        """The class of a label value; -1 for none."""
        if self.reduce_zero_label:
            value = IGNORED if value in (0, IGNORED) else value - 1
        value = (self.label_map or {}).get(value, value)
        return -1 if value == IGNORED or value < 0 else value

    def count(self, values: Counter) -> None:
        """Fill in ``pixels`` and ``ignored`` by label value -> pixels.

        Raises:
            ValueError: a value is none of the classes.
        """
        self.pixels, self.ignored = [0] * len(self.names), 0
        for value, count in values.items():
            index = self.index(value)
            if index >= len(self.names):
                raise ValueError(
                    f'label maps have the value {value} ({count} pixels), and there are names for {len(self.names)} '
                    f'classes, {", ".join(self.names[:10])} (from {self.origin}). Name all of them: --classes '
                    'NAME,NAME,... or a file with one a line'
                )
            if index < 0:
                self.ignored += count
            else:
                self.pixels[index] += count


def decide(tree: Tree, source: Source, survey: Survey, asked: str | None) -> Classes:
    """The classes of a data set.

    Args:
        tree: its files, which may name the classes.
        source: what was found; of drawn label maps it knows the classes.
        survey: what label maps hold. With colours, its values are those of ``survey.reading.label_palette``.
        asked: names parted by commas, a file of them, or the type of a public data set; None goes by what is found.

    Raises:
        ValueError: the names are too few, or colours have no name.
    """
    if source.classes is not None:
        if asked is not None:
            raise ValueError(f'--classes: {source.kind} names its classes itself: {", ".join(source.classes)}')
        palette = source.palette or _palette(source.classes)
        classes = Classes(source.classes, palette, origin=f'the {source.kind} file')
    elif survey.reading.label_palette is not None:
        classes = _of_colours(survey, _names(tree, asked), source.notes)
    else:
        classes = _of_values(tree, source, survey, asked)
    values = survey.values
    if classes.label_palette is not None:
        place = {tuple(colour): label for label, colour in enumerate(classes.label_palette)}
        seen = survey.reading.label_palette
        values = Counter({place[tuple(seen[value])]: count for value, count in survey.values.items()})
    classes.count(values)
    for name, pixels in zip(classes.names, classes.pixels, strict=True):
        if not pixels:
            source.notes.add('classes without a pixel', name)
    return classes


def _names(tree: Tree, asked: str | None) -> ClassList | None:
    if asked is None:
        return find_class_list(tree)
    if Path(asked).is_file():
        return parse_class_list(read_text(asked), asked)
    kind = DATASETS.get(asked) if re.fullmatch(r'\w+', asked) else None
    if kind is not None:
        meta = _meta(kind)
        return ClassList(asked, list(meta['classes']), meta['palette'])
    names = [name.strip() for name in asked.split(',')]
    if '' in names or len(set(names)) < len(names) or len(names) < 2:
        raise ValueError(f'--classes {asked!r} is neither two or more different names parted by commas, nor a file')
    return ClassList('--classes', names, None)


def _meta(kind: type) -> dict:
    if not (isinstance(kind, type) and issubclass(kind, BaseSegDataset) and kind.METAINFO.get('classes')):
        raise ValueError(f'--classes: {kind.__name__} has no classes of its own')
    dataset = kind(lazy_init=True)
    label_map = kind.METAINFO.get('label_map')  # as configs write it
    return {**dataset.metainfo, 'label_map': label_map, 'reduce_zero_label': dataset.reduce_zero_label}


def _of_colours(survey: Survey, named: ClassList | None, notes: Notes) -> Classes:
    seen = survey.reading.label_palette
    if named is None or named.palette is None:
        names = named.names if named else [f'colour_{"_".join(map(str, colour))}' for colour in seen]
        grey = all(len(set(colour)) == 1 for colour in seen)  # indices in three equal channels, in their order
        if named and not (grey and len(names) == len(seen)):
            raise ValueError(
                f'label maps have {len(seen)} colours {seen[:10]}, and {named.file} names {len(names)} classes, and '
                'does not say which is which: write a file with "name,red,green,blue" in each line, --classes FILE'
            )
        return Classes(names, seen, seen, origin=named.file if named else 'the colours: rename them in the config')
    extra = [colour for colour in seen if colour not in named.palette]
    if len(extra) == len(seen):
        raise ValueError(f'label maps have the colours {seen[:10]}, and {named.file} none of these')
    for colour in extra:
        notes.add(f'colours that {named.file} does not name, ignored', str(colour))
    label_map = {len(named.names) + place: -1 for place in range(len(extra))}
    return Classes(named.names, named.palette, [*named.palette, *extra], label_map or None, origin=named.file)


def _of_values(tree: Tree, source: Source, survey: Survey, asked: str | None) -> Classes:
    values = sorted(survey.values)
    kind = DATASETS.get(asked) if asked and re.fullmatch(r'\w+', asked) and not Path(asked).is_file() else None
    if kind is None and asked is None and find_class_list(tree) is None:
        kind = _public(tree, source, values)
    if kind is not None:
        meta = _meta(kind)
        return Classes(
            list(meta['classes']), meta['palette'], label_map=meta['label_map'],
            reduce_zero_label=meta['reduce_zero_label'], origin=kind.__name__,
        )  # fmt: skip
    named = _names(tree, asked)
    used = [value for value in values if value != IGNORED]
    if len(values) == 2 and values[0] == 0 and values[1] > 1 and (named is None or len(named.names) == 2):
        names = named.names if named else ['background', 'foreground']
        return _numbered(names, named, {values[1]: 1}, f'two values, 0 and {values[1]}')
    if named is None:
        return _unnamed(used, source.notes)
    if used and used[-1] == len(named.names) and 0 in used:
        source.notes.add('labels 0 and up for names of 1 and up: 0 is ignored', f'{len(named.names)} names')
        classes = _numbered(named.names, named, None, named.file)
        classes.reduce_zero_label = True
        return classes
    return _numbered(named.names, named, None, named.file)


def _numbered(names: list[str], named: ClassList | None, label_map: dict | None, origin: str) -> Classes:
    palette = (named.palette if named else None) or _palette(names)
    return Classes(list(names), palette, label_map=label_map, origin=named.file if named else origin)


def _unnamed(used: Sequence[int], notes: Notes) -> Classes:
    names = [f'class_{value}' for value in used]
    label_map = None
    if list(used) != list(range(len(used))):
        label_map = {value: index for index, value in enumerate(used) if value != index}
        missing = sorted(set(range(max(used))) - set(used))
        notes.add('label values that do not occur; classes are counted without gaps', str(missing[:10]), len(missing))
    return Classes(names, _palette(names), label_map=label_map, origin='the values: rename them in the config')


def _public(tree: Tree, source: Source, values: Sequence[int]) -> type | None:
    """The public data set that a folder is called after, if its labels fit."""
    parts = {re.sub(r'[^a-z0-9]', '', part.lower()) for part in PurePath(tree.root).parts[-2:]}
    DATASETS.import_from_location()
    for name, kind in DATASETS.module_dict.items():
        if not (isinstance(kind, type) and issubclass(kind, BaseSegDataset) and kind.METAINFO.get('classes')):
            continue
        is_called = name.lower().removesuffix('dataset') in parts
        if not is_called and not (source.kind == 'Pascal VOC' and name == VOC_NAMES):
            continue
        meta = _meta(kind)
        classes = Classes(list(meta['classes']), [], None, meta['label_map'], meta['reduce_zero_label'])
        if all(classes.index(value) < len(classes.names) for value in values):
            return kind
    return None


def _palette(names: Sequence[str]) -> list[list[int]]:
    """Different colours, black for the background."""
    if names and names[0].lower().strip('_ ') == 'background':
        return [[0, 0, 0], *distinct_palette(len(names) - 1)]
    return distinct_palette(len(names))
