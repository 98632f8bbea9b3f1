"""Shapes that annotation tools store, as sets of pixels.

Coordinates are x to the right and y down from the image's upper left corner, in pixels; pixel (row, column) is the
square from (column, row) to (column + 1, row + 1), and belongs to a shape if its centre does. So a rectangle from 2 to
5 has three pixels a row, and two polygons with a common edge neither overlap nor leave a gap.
"""

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

Area = tuple[slice, slice, np.ndarray]  # rows and columns of a window, and which of its pixels are inside


@dataclass(frozen=True)
class Shape(ABC):
    """Pixels of one class.

    Attributes:
        index: the class.
    """

    index: int

    @abstractmethod
    def area(self, size: tuple[int, int]) -> Area:
        """Its pixels in an image of (height, width).

        Raises:
            ValueError: the shape is damaged, or belongs to an image of another size.
        """

    def paint(self, labels: np.ndarray) -> bool:
        """Put the class into a label map, H x W, where the shape is; False if that is nowhere."""
        rows, columns, inside = self.area(labels.shape)
        labels[rows, columns][inside] = self.index
        return bool(inside.any())

    def leaves(self, size: tuple[int, int]) -> bool:
        """Whether it reaches out of the image by more than a pixel."""
        return False


@dataclass(frozen=True)
class Polygons(Shape):
    """Rings of points, N x 2 of (x, y) each, joined.

    Attributes:
        rings: each is filled by the even-odd rule.
    """

    rings: tuple[np.ndarray, ...]

    def area(self, size: tuple[int, int]) -> Area:
        points = np.concatenate(self.rings)
        if not np.isfinite(points).all():
            raise ValueError('a polygon has coordinates that are no numbers')
        rows, columns = (_window(points[:, axis], side) for axis, side in ((1, size[0]), (0, size[1])))
        inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        for ring in self.rings:
            inside |= _inside(ring - (columns.start, rows.start), inside.shape)
        return rows, columns, inside

    def leaves(self, size: tuple[int, int]) -> bool:
        points = np.concatenate(self.rings)
        return bool((points < -1).any() or (points > (size[1] + 1, size[0] + 1)).any())


def rectangle(index: int, left: float, top: float, right: float, bottom: float) -> Polygons:
    """A rectangle by its edges, in any order."""
    return Polygons(index, (np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64),))


@dataclass(frozen=True)
class Ellipse(Shape):
    """An ellipse with axes along the image's, turned clockwise about its centre by an angle.

    Attributes:
        centre: (x, y).
        radii: (x, y), before the turn.
        degrees: of the turn.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0

    def area(self, size: tuple[int, int]) -> Area:
        reach = max(self.radii)
        rows, columns = (
            _window(np.array([middle - reach, middle + reach]), side)
            for middle, side in ((self.centre[1], size[0]), (self.centre[0], size[1]))
        )
        if min(self.radii) <= 0:
            return rows, columns, np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        y = np.arange(rows.start, rows.stop)[:, None] + 0.5 - self.centre[1]
        x = np.arange(columns.start, columns.stop) + 0.5 - self.centre[0]
        cos, sin = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        along, across = (x * cos + y * sin) / self.radii[0], (y * cos - x * sin) / self.radii[1]
        return rows, columns, along**2 + across**2 <= 1

    def leaves(self, size: tuple[int, int]) -> bool:
        (x, y), reach = self.centre, min(self.radii)
        return x - reach < -1 or y - reach < -1 or x + reach > size[1] + 1 or y + reach > size[0] + 1


@dataclass(frozen=True)
class Bitmap(Shape):
    """Pixels in a window whose upper left one is (top, left), which may lie outside of the image in part."""

    top: int
    left: int

    @abstractmethod
    def mask(self) -> np.ndarray:
        """Which pixels of the window: height x width, bool.

        Raises:
            ValueError: it is damaged.
        """

    def area(self, size: tuple[int, int]) -> Area:
        mask = self.mask()
        height, width = mask.shape
        rows, columns = _overlap(self.top, height, size[0]), _overlap(self.left, width, size[1])
        inside = mask[
            rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
        ]
        return rows, columns, inside

    def leaves(self, size: tuple[int, int]) -> bool:
        height, width = self.mask().shape
        return self.top < 0 or self.left < 0 or self.top + height > size[0] or self.left + width > size[1]


@dataclass(frozen=True)
class Runs(Bitmap):
    """Lengths of runs of pixels outside and inside in turn, outside first.

    Attributes:
        shape: (height, width) of the window.
        lengths: numbers, or COCO's text for them.
        by_columns: column by column, as COCO has them, in place of row by row.
    """

    shape: tuple[int, int]
    lengths: Sequence[int] | str | bytes
    by_columns: bool = False

    def mask(self) -> np.ndarray:
        height, width = self.shape
        runs = coco_runs(self.lengths) if isinstance(self.lengths, (str, bytes)) else np.asarray(self.lengths, np.int64)
        if (runs < 0).any() or runs.sum() != height * width:
            raise ValueError(f'run lengths of {runs.sum()} pixels for a mask of {height} x {width}')
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return flat.reshape(width, height).T if self.by_columns else flat.reshape(height, width)


@dataclass(frozen=True)
class Png(Bitmap):
    """A PNG file as base64 text; pixels that are not black are inside."""

    text: str

    def mask(self) -> np.ndarray:
        with Image.open(io.BytesIO(base64.b64decode(self.text))) as image:
            return np.asarray(image.convert('L')) > 0


def coco_runs(text: str | bytes) -> np.ndarray:
    """COCO's compressed run lengths: signed numbers of 5 bits a sign, from the fourth on less the last but one.

    Raises:
        ValueError: the text ends within a number.
    """
    signs = text.encode() if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for sign in signs:
        bits = sign - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError('compressed run lengths end within a number')
    return np.array(runs, dtype=np.int64)


def _window(values: np.ndarray, side: int) -> slice:
    """The whole pixels between the least and the greatest coordinate, within the image."""
    start, stop = (int(np.clip(limit, 0, side)) for limit in (np.floor(values.min()), np.ceil(values.max())))
    return slice(start, max(start, stop))


def _overlap(start: int, length: int, side: int) -> slice:
    """What of a window's rows or columns is in the image; of a window outside, nothing at its nearer end."""
    first = min(max(start, 0), start + length)
    return slice(first, max(first, min(start + length, side)))


def _inside(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a window whose centres a ring of points surrounds an odd number of times."""
    height, width = size
    start, end = ring, np.roll(ring, -1, axis=0)
    upper, lower = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(upper - 0.5), 0, height).astype(
        np.int64
    )  # rows whose centres an edge passes: first <= . < last
    last = np.clip(np.ceil(lower - 0.5), 0, height).astype(np.int64)
    count = last - first
    edge = np.repeat(np.arange(len(ring)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    column = np.ceil(start[edge, 0] + (row + 0.5 - start[edge, 1]) * slope - 0.5)
    crossings = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(crossings, (row, np.clip(column, 0, width).astype(np.int64)), 1)
    return np.cumsum(crossings[:, :width], axis=1) % 2 == 1
