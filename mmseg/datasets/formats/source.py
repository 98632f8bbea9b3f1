"""What a folder was found to be: one description, whatever its format."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .shapes import Shape

EXAMPLES = 5  # that a note names
BACKGROUND = 'background'
NOWHERE = 'shapes that cover no pixel'
CUT = 'shapes that reach out of their image, cut at its edge'


@dataclass
class Note:
    """Something that was found and shall be said.

    Attributes:
        text: what it is; reads well behind its count.
        count: how many.
        examples: the first of them.
        left_out: whether these samples are not used.
    """

    text: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    left_out: bool = False

    def add(self, example: str, count: int = 1) -> None:
        """Count one more."""
        self.count += count
        if len(self.examples) < EXAMPLES and example not in self.examples:
            self.examples.append(example)


class Notes:
    """All notes, by their text."""

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    def add(self, text: str, example: str, count: int = 1, left_out: bool = False) -> None:
        """Count ``example`` among those of ``text``."""
        if count:
            self._notes.setdefault(text, Note(text, left_out=left_out)).add(example, count)

    def __iter__(self):
        return iter(self._notes.values())


@dataclass
class Sample:
    """An image and what is known of its labels.

    Attributes:
        image: its name in the tree.
        label: its label map's; None where that is to be drawn.
        split: 'train', 'val' or 'test', where the data says so.
        size: (height, width), where the annotation says so.
        shapes: to be drawn in this order, later over earlier ones.
    """

    image: str
    label: str | None = None
    split: str | None = None
    size: tuple[int, int] | None = None
    shapes: Sequence[Shape] = ()


@dataclass
class Source:
    """A folder, understood.

    Attributes:
        kind: what it is, in words.
        samples: those that have labels, by image.
        classes: their names in the order of their indices; None where only the label maps can tell how many there are.
        palette: [r, g, b] of each class; None for none.
        label_palette: [r, g, b] of each label value, of colour-coded label maps; [] where that is still to be seen.
        notes: what else was found.
        drawn: whether label maps are to be drawn from shapes.
        fill: the label of what no shape covers.
        extract: for files that hold many samples: writes image and label map of sample i below a folder, and returns
            the image's name there.
    """

    kind: str
    samples: list[Sample]
    classes: list[str] | None = None
    palette: list[list[int]] | None = None
    label_palette: list[list[int]] | None = None
    notes: Notes = field(default_factory=Notes)
    drawn: bool = False
    fill: int = 0
    extract: Callable[[str, int], str] | None = None


class ClassNames:
    """Class names in the order of their first use, with the background before all.

    Args:
        ignore_rest: pixels that no shape covers are ignored (255), in place of being background.
        names: known from the start, in this order.
    """

    def __init__(self, names: Sequence[str] = (), ignore_rest: bool = False) -> None:
        lower = [name.lower().strip('_ ') for name in names]
        self.names = list(names)
        if not ignore_rest and BACKGROUND not in lower:
            self.names.insert(0, BACKGROUND)
        elif BACKGROUND in lower:  # the first, as 0 fills what no shape covers
            self.names.insert(0, self.names.pop(lower.index(BACKGROUND)))
        self.fill = 255 if ignore_rest else 0
        self._index = {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """The index of a class, a new one for a new name."""
        if name not in self._index:
            self._index[name] = len(self.names)
            self.names.append(name)
        return self._index[name]


def draw(shapes: Sequence[Shape], size: tuple[int, int], fill: int, classes: int) -> tuple[np.ndarray, Counter]:
    """The label map that shapes make.

    Args:
        shapes: later ones cover earlier ones.
        size: (height, width).
        fill: label of what none covers.
        classes: how many there are, for the type.

    Returns:
        H x W, uint8 or uint16, and how many shapes were unusual in which way.

    Raises:
        ValueError: a shape cannot be drawn at this size.
    """
    labels = np.full(size, fill, dtype=np.uint8 if classes <= 255 else np.uint16)
    unusual: Counter[str] = Counter()
    for shape in shapes:
        if not shape.paint(labels):
            unusual[NOWHERE] += 1
        elif shape.leaves(size):
            unusual[CUT] += 1
    return labels, unusual
