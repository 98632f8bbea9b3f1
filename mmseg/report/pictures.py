"""Pictures for a page, kept in bounded number and size: of the worst, the best, and a sample of images.

Which ones does not depend on the order in which images come, nor on the process that saw them.
"""

import bisect
import hashlib
import math
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from mmseg.visualization.blend import blend

SIDE, THUMB_SIDE = 640, 128  # longest sides in pixels
THUMBS = 2000
NOTHING = 65535  # in label pictures: not annotated


class Smallest:
    """The names with the smallest keys, at most ``count``."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._sorted: list[tuple] = []

    @property
    def names(self) -> list[str]:
        return [name for _, name in self._sorted]

    def add(self, key: float, name: str) -> bool:
        """Whether it is among them so far."""
        bisect.insort(self._sorted, (key, name))
        return self._sorted[self.count :] != [(key, name)]

    def drop(self) -> list[str]:
        """Forget those in excess, and name them."""
        excess, self._sorted = self._sorted[self.count :], self._sorted[: self.count]
        return [name for _, name in excess]

    def merge(self, other: 'Smallest') -> None:
        self._sorted = sorted({*self._sorted, *other._sorted})


class Gallery:
    """Pictures of the worst and best images, of a sample, and thumbnails.

    Args:
        images: how many have pictures: a third the worst, a third the best, a third drawn by the hash of their names.
            Thumbnails have up to ``THUMBS`` images, drawn likewise.
    """

    def __init__(self, images: int) -> None:
        third = max(1, math.ceil(images / 3))
        self.worst, self.best, self.sample, self.thumbed = (Smallest(n) for n in (third, third, third, THUMBS))
        self.pictures: dict[str, dict] = {}
        self.thumbs: dict[str, bytes] = {}

    def add(self, name: str, score: float, make: Callable[[], tuple[dict, bytes]]) -> None:
        """An image; ``make`` gives its picture and thumbnail if they are wanted."""
        chance = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), 'big')
        wanted = self.sample.add(chance, name)
        if not math.isnan(score):
            wanted |= self.worst.add(score, name) | self.best.add(-score, name)
        thumb = self.thumbed.add(chance, name)
        if wanted or thumb:
            self.pictures[name], self.thumbs[name] = make()
        self._forget()

    def merge(self, other: 'Gallery') -> None:
        """Take over those of another process."""
        self.pictures |= other.pictures
        self.thumbs |= other.thumbs
        for kind in ('worst', 'best', 'sample', 'thumbed'):
            getattr(self, kind).merge(getattr(other, kind))
        self._forget()

    def _forget(self) -> None:
        for kind in (self.worst, self.best, self.sample, self.thumbed):
            kind.drop()
        _keep(self.pictures, (*self.worst.names, *self.best.names, *self.sample.names))
        _keep(self.thumbs, (*self.pictures, *self.thumbed.names))


def _keep(held: dict, names: Iterable[str]) -> None:
    for name in held.keys() - set(names):
        del held[name]


def encode_pictures(
    image: np.ndarray, label: np.ndarray, pred: np.ndarray, known: np.ndarray, palette: np.ndarray
) -> tuple[dict, bytes]:
    """An image with its annotation and prediction as the page's files.

    Args:
        image: H x W x 3, RGB, uint8.
        label, pred: H x W class indices.
        known: H x W, where the annotation counts.
        palette: C x 3, uint8, RGB.

    Returns:
        ``image`` (JPEG), ``label`` and ``pred`` (PNG of class indices: red + 256 green), at most ``SIDE`` wide or high;
        and a thumbnail (JPEG) of the prediction over the image.
    """
    label = np.where(known, label.astype(np.int32), NOTHING)
    image, label, pred = (_fit(picture, SIDE) for picture in (image, label, pred))
    picture = dict(image=_jpeg(image, 85), label=_label_png(label), pred=_label_png(pred))
    return picture, _jpeg(blend(_fit(image, THUMB_SIDE), _fit(pred, THUMB_SIDE), palette, 0.5), 75)


def _fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Made smaller if it must be; label maps, which have two axes, keep their values."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = [max(1, round(length * scale)) for length in picture.shape[1::-1]]
    if picture.ndim == 2:
        return cv2.resize(picture.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _label_png(labels: np.ndarray) -> bytes:
    planes = [np.zeros_like(labels), labels >> 8, labels & 255]  # blue, green, red
    return cv2.imencode('.png', np.stack(planes, axis=-1).astype(np.uint8))[1].tobytes()
