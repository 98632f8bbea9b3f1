"""From a network's coarse scores to labels at the image's own size, without a full map of scores.

The published evaluation resizes all classes' scores to the network's input size, then to the image's
size, and takes the argmax: at 150 classes that moves a hundred times more memory than the labels need.
Both resizes treat every class alone, so here they run over a few classes at a time, next to a
running maximum. The same kernels see the same numbers, which makes the labels identical.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..utils import resize

# Scores of this many pixels x classes are at hand at a time: they fit a CPU's cache, and fill a GPU.
CHUNK = 2**21


class Window(NamedTuple):
    """What the network said of one rectangle of its input."""

    scores: Tensor  # classes x h x w, coarse
    top: int
    left: int
    height: int
    width: int


class ImageScores:
    """The scores of one image at any chosen classes, resized when they are asked for.

    Args:
        windows: the windows that cover the input; where they overlap, scores are averaged.
        input_size: H x W of the network's input.
        padding: left, right, top, bottom of the input that are not image.
        flip: 'horizontal', 'vertical' or 'diagonal' when the input was flipped, else None.
        image_size: H x W of the image.
        align_corners: of both resizes.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        input_size: Sequence[int],
        image_size: Sequence[int],
        padding: Sequence[int] = (0, 0, 0, 0),
        flip: str | None = None,
        align_corners: bool = False,
    ) -> None:
        # Contiguous, since PyTorch resizes other layouts with other kernels; float32 after mixed precision.
        self.windows = [window._replace(scores=window.scores.float().contiguous()) for window in windows]
        self.input_size, self.image_size = tuple(input_size), tuple(image_size)
        self.padding = padding
        self.flip_dims = {None: (), 'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}[flip]
        self.align_corners = align_corners
        self.num_classes = len(windows[0].scores)

    def at_image_size(self, classes: Tensor | slice = slice(None)) -> Tensor:
        """Scores of the chosen classes, c x H x W at the image's size."""
        scores = self._at_input_size(classes)
        (left, right, top, bottom), (H, W) = self.padding, self.input_size
        scores = scores[:, top : H - bottom, left : W - right]
        if self.flip_dims:
            scores = scores.flip(self.flip_dims)
        return self._resize(scores, self.image_size)

    @torch.no_grad()
    def labels(self, chunk: int = CHUNK) -> Tensor:
        """The class of the highest score, H x W int64; the first of equal ones, as argmax has it."""
        classes = self.candidates()
        pixels = max(self.input_size[0] * self.input_size[1], self.image_size[0] * self.image_size[1])
        best = labels = None
        for part in classes.split(max(1, chunk // pixels)):
            highest, index = self.at_image_size(part).max(dim=0)
            if best is None:
                best, labels = highest, part[index]
            else:
                better = highest > best
                best, labels = torch.where(better, highest, best), torch.where(better, part[index], labels)
        return labels

    def candidates(self) -> Tensor:
        """The classes that can be the highest anywhere, in order.

        A bilinear resize takes averages: a class whose scores around a place are all below another's
        lowest score there cannot win there, nor anywhere between. Two resizes in a row look at three
        neighbours at most along each axis, as long as the first one enlarges.
        """
        scores = self.windows[0].scores
        if (
            len(self.windows) > 1
            or min(scores.shape[1:]) < 3
            or any(a > b for a, b in zip(scores.shape[1:], self.input_size, strict=True))
        ):
            return torch.arange(self.num_classes, device=scores.device)
        highest, lowest = _over_3x3(torch.maximum, scores), _over_3x3(torch.minimum, scores)
        # The resizes round: what is within rounding of winning stays.
        margin = 1e-4 * scores.abs().amax()
        beaten = highest < lowest.amax(dim=0) - margin
        return (~beaten.flatten(1).all(dim=1)).nonzero().squeeze(1)

    def _at_input_size(self, classes: Tensor | slice) -> Tensor:
        if len(self.windows) == 1:
            return self._resize(self.windows[0].scores[classes], self.input_size)
        total, count = None, None
        for window in self.windows:
            scores = self._resize(window.scores[classes], (window.height, window.width))
            if total is None:
                total = scores.new_zeros(len(scores), *self.input_size)
                count = scores.new_zeros(1, *self.input_size)
            rows = slice(window.top, window.top + window.height)
            columns = slice(window.left, window.left + window.width)
            total[:, rows, columns] += scores
            count[:, rows, columns] += 1
        return total / count

    def _resize(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        return resize(scores[None], size=size, align_corners=self.align_corners)[0]


def _over_3x3(extreme, x: Tensor) -> Tensor:
    """The extreme over every 3x3 neighbourhood that lies inside, C x h x w -> C x (h - 2) x (w - 2)."""
    x = extreme(extreme(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return extreme(extreme(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])
