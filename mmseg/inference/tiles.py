"""Images of any size in bounded memory: overlapping tiles, blended by the distance to their borders.

The network sees a tile at a time, and what it says of a tile stays coarse until it is wanted: labels come from all
classes of a few rows, over the width of the image, as soon as the last tile that covers these rows is done. So no map
of classes x H x W is ever held, but for those few rows.

LRSA sees its whole input, so a tile's labels depend on the tile alone: docs/predict.md has what that changes.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from mmseg.datasets.transforms import LoadImageFromFile
from mmseg.datasets.transforms.base import as_pair
from mmseg.models.segmentors.scores import CHUNK, ImageScores, MeanScores

from .images import Image, file_or_array
from .large_image import LargeImage, open_large
from .pipeline import ImagePipeline
from .result import Classes, Result
from .segmentor import Prepared, Segmentor

SMALLEST = 32  # pixels: the least side of a tile, as the network lowers the resolution by that
STRIP = 8 * CHUNK  # numbers, classes x rows x width, that labels are computed from at a time
# What an image takes that is segmented as a whole, in bytes for each of its pixels and of the network's input.
OF_IMAGE, OF_INPUT = 48, 640
WHOLE = 2**32  # bytes that it may take


class Cuts(NamedTuple):
    """Where tiles lie along one axis.

    Attributes:
        starts: of each tile; the last one is moved back inside.
        side: of all tiles.
        weights: what each tile counts at each of its places, tiles x side; at each place of the axis all add up to 1.
    """

    starts: list[int]
    side: int
    weights: Tensor

    @classmethod
    def along(cls, size: int, side: int, overlap: int) -> 'Cuts':
        """Tiles of ``side`` that overlap by ``overlap`` at least, or one of ``size`` where that is no larger."""
        starts = [0]
        if side < size:
            starts = [min(start, size - side) for start in range(0, size - overlap, side - overlap)]
        side = min(side, size)
        place = torch.arange(side)
        ramp = torch.minimum(place + 1, side - place).clamp(max=max(overlap, 1)).double()  # distance to the border
        total = torch.zeros(size, dtype=torch.float64)
        for start in starts:
            total[start : start + side] += ramp
        return cls(starts, side, torch.stack([ramp / total[start : start + side] for start in starts]).float())


class TileRow(NamedTuple):
    """Tiles beside each other: the top of them, what the rows of each count, and their scores."""

    top: int
    weights: Tensor
    scores: Sequence[ImageScores | MeanScores]


class Large(NamedTuple):
    """An image that is to be cut, in the place of :class:`.segmentor.Prepared`; it is opened when its turn comes.

    Attributes:
        image: a file, or an array as it would have been loaded.
        picture: whether it is to be drawn on.
    """

    image: str | np.ndarray
    picture: bool

    @property
    def shape(self) -> tuple[str, str]:
        """No two share a batch."""
        return 'tiles', self.image if isinstance(self.image, str) else str(id(self.image))


class TiledSegmentor:
    """A segmentor that cuts large images into tiles; in the place of a :class:`.segmentor.Segmentor`.

    Args:
        segmentor: what it would be without.
        tile: 'auto' cuts images that would take more than 4 GiB as a whole into tiles of the config's ``crop_size``;
            a number cuts all images into squares of that side. Tiles are taken from the image at its own
            resolution: the test pipeline's resize is left out, but for sides that become multiples of 32.
        overlap: pixels that tiles next to each other share; None for a quarter of their shorter side.
        batch_size: tiles that go through the network together.

    Raises:
        ValueError: a tile is too small for its overlap, or scores were asked for.
    """

    def __init__(
        self, segmentor: Segmentor, tile: int | str = 'auto', overlap: int | None = None, batch_size: int = 1
    ) -> None:
        if tile != 'auto' and (not isinstance(tile, int) or tile < SMALLEST):
            raise ValueError(f"tile={tile!r} is neither 'auto' nor a side of {SMALLEST} pixels or more")
        crop = as_pair(segmentor.cfg.get('crop_size') or 512)
        self.sides = crop if tile == 'auto' else (tile, tile)
        self.overlap = min(self.sides) // 4 if overlap is None else overlap
        if not 0 <= self.overlap < min(self.sides):
            raise ValueError(f'overlap={overlap} must be 0 or more and below the side of a tile, {min(self.sides)}')
        self.segmentor, self.always, self.batch_size = segmentor, tile != 'auto', batch_size
        self.never = segmentor.scores or not segmentor.has_coarse_scores
        if self.always and self.never:
            raise ValueError(
                'scores of an image in tiles would take classes x H x W: leave out either'
                if segmentor.scores
                else 'the model has no image_scores, so its images cannot be cut into tiles'
            )

    @cached_property
    def pipeline(self) -> ImagePipeline:
        """From a tile to what the network takes."""
        return self.segmentor.pipeline_of(own_size=True)

    @property
    def classes(self) -> Classes:
        return self.segmentor.classes

    def prepare(self, image: Image, picture: bool = False) -> Prepared | Large:
        """As :meth:`.Segmentor.prepare`; of a file that is cut, no more than its header is read."""
        if not (self.always or self._is_large(image)):
            prepared = self.segmentor.prepare(image, picture)
            if self.never or _input_pixels(prepared) * OF_INPUT <= WHOLE:
                return prepared
        return Large(file_or_array(image, self.pipeline.loader or LoadImageFromFile()), picture)

    def _is_large(self, image: Image) -> bool:
        pixels = None if self.never else _pixels(image)
        return pixels is not None and pixels * OF_IMAGE > WHOLE

    def segment(
        self, batch: Sequence[Prepared | Large], names: Sequence[str], sources: Sequence[str]
    ) -> Iterator[Result]:
        """As :meth:`.Segmentor.segment`; of images in tiles, the labels (and the picture) are all that is large.

        Raises:
            TypeError, ValueError, OSError: an image cannot be read.
        """
        if not isinstance(batch[0], Large):
            yield from self.segmentor.segment(batch, names, sources)
            return
        for large, name, source in zip(batch, names, sources, strict=True):
            image = open_large(large.image, self.pipeline.loader)
            labels = np.empty(image.size, self.classes.dtype)
            for top, rows in self.bands(image):
                labels[top : top + len(rows)] = rows
            yield Result(name, labels, self.classes, image.picture() if large.picture else None, None, source)

    @torch.no_grad()
    def bands(self, image: LargeImage) -> Iterator[tuple[int, np.ndarray]]:
        """The labels of an image from top to bottom: the first row of a band, and its labels, h x W."""
        vertical = Cuts.along(image.size[0], self.sides[0], self.overlap)
        horizontal = Cuts.along(image.size[1], self.sides[1], self.overlap)
        held: list[TileRow] = []
        done = 0
        ends = [*vertical.starts[1:], image.size[0]]
        for top, weights, end in zip(vertical.starts, vertical.weights, ends, strict=True):
            rows = image.rows(top, top + vertical.side)
            tiles = [rows[:, left : left + horizontal.side] for left in horizontal.starts]
            held = [row for row in held if row.top + vertical.side > done]
            held.append(TileRow(top, weights, self._scores(tiles)))
            yield from self._labels(held, vertical.side, horizontal, done, end, image.size[1])
            done = end

    def _scores(self, tiles: Sequence[np.ndarray]) -> list[ImageScores | MeanScores]:
        scores = []
        for start in range(0, len(tiles), self.batch_size):
            batch = tiles[start : start + self.batch_size]
            scores += self.segmentor.scores_of([self.pipeline(np.ascontiguousarray(tile)) for tile in batch])
        return scores

    def _labels(
        self, held: Sequence[TileRow], side: int, across: Cuts, start: int, stop: int, width: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Of the rows ``start`` to ``stop``, which no later tile covers."""
        one = held[0].scores[0]
        step = max(1, STRIP // (one.num_classes * width))
        for top in range(start, stop, step):
            bottom = min(top + step, stop)
            total = None
            for row in held:
                first, last = max(top, row.top), min(bottom, row.top + side)
                if first >= last:
                    continue
                inside = slice(first - row.top, last - row.top)
                for left, weights, scores in zip(across.starts, across.weights, row.scores, strict=True):
                    strip = scores.at_image_rows(inside.start, inside.stop)
                    if total is None:
                        total = strip.new_zeros(len(strip), bottom - top, width)
                    weight = (row.weights[inside, None] * weights).to(strip.device)
                    total[:, first - top : last - top, left : left + across.side].addcmul_(strip, weight)
            labels, _ = self.segmentor.finish(*one.decide(total))
            yield top, labels


def _pixels(image: Image) -> int | None:
    """Of an image, as far as that is known before it is decoded."""
    if not isinstance(image, (str, os.PathLike)):
        size = getattr(image, 'size', None) if isinstance(image, PIL.Image.Image) else getattr(image, 'shape', ())
        return int(np.prod(sorted(size)[-2:])) if size else None
    try:
        with PIL.Image.open(image) as file:
            return file.width * file.height
    except PIL.Image.DecompressionBombError:
        return WHOLE  # more than twice PIL.Image.MAX_IMAGE_PIXELS
    except (OSError, ValueError, SyntaxError):
        return None  # whoever reads it will say what is wrong


def _input_pixels(prepared: Prepared) -> int:
    inputs = prepared.item['inputs']
    return max(x.shape[-2] * x.shape[-1] for x in (inputs if isinstance(inputs, list) else [inputs]))
