"""From a network's coarse scores to labels at the image's own size, without a full map of scores.

The published evaluation resizes all classes' scores to the network's input size, then to the image's
size, and takes the argmax: at 150 classes that moves a hundred times more memory than the labels need.
Both resizes treat every class alone, so here they run over a few classes at a time, next to a
running maximum. The same kernels see the same numbers, which makes the labels identical.

Masks of queries go through a sigmoid between the two resizes and are then summed over queries, so there
no class stands alone; :class:`MaskScores` works on a few rows of all of them at a time. So does
:class:`MeanScores`, which averages the probabilities of several views of an image.

A single score for two classes is less than its labels are: :class:`BinaryScores` holds it whole.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..layers import from_host, full_precision
from ..utils import resize

# Scores of this many pixels x classes are at hand at a time: they fit a CPU's cache, and fill a GPU.
CHUNK = 2**21


class Window(NamedTuple):
    """What the network said of one rectangle of its input."""

    scores: Tensor | tuple[Tensor, Tensor]  # classes x h x w, coarse; or of Q queries: class and mask logits
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
        self.windows = [window._replace(scores=self._prepare(window.scores)) for window in windows]
        self.input_size, self.image_size = tuple(input_size), tuple(image_size)
        self.padding = padding
        self.flip_dims = {None: (), 'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}[flip]
        self.align_corners = align_corners

    @property
    def num_classes(self) -> int:
        return len(self.windows[0].scores)

    @staticmethod
    def _prepare(scores: Tensor) -> Tensor:
        # Contiguous, since PyTorch resizes other layouts with other kernels.
        return _single(scores).contiguous()

    def at_image_size(self, classes: Tensor | slice = slice(None)) -> Tensor:
        """Scores of the chosen classes, c x H x W at the image's size."""
        scores = self._at_input_size(classes)
        (left, right, top, bottom), (H, W) = self.padding, self.input_size
        scores = scores[:, top : H - bottom, left : W - right]
        if self.flip_dims:
            scores = scores.flip(self.flip_dims)
        return self._resize(scores, self.image_size)

    def at_image_rows(self, start: int, stop: int) -> Tensor:
        """Scores of a strip of the image, classes x (stop - start) x W."""
        (left, right, top, bottom), (H, W) = self.padding, self.input_size
        need = _Rows(start, stop, H - top - bottom, self.image_size[0], self.align_corners)
        begin, end = top + need.begin, top + need.end
        if 1 in self.flip_dims:
            begin, end = H - bottom - need.end, H - bottom - need.begin
        strip = self._at_input_rows(begin, end)[:, :, left : W - right]
        if self.flip_dims:
            strip = strip.flip(self.flip_dims)
        return self._resize(need.blend(strip), (stop - start, self.image_size[1]))

    def rows_at_a_time(self, chunk: int) -> int:
        """How many rows of the image need no more than ``chunk`` numbers at hand."""
        (height, width), (input_height, input_width) = self.image_size, self.input_size
        reads = max(1, input_height // height)  # rows of the input for each row of the image
        return max(1, chunk // (max(width, input_width) * self._depth * reads))

    @property
    def _depth(self) -> int:
        return self.num_classes

    def decide(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of all classes, classes x H x W -> those to hand out, and the labels, H x W int64."""
        return scores, self.choose(scores)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Scores of all classes, classes x H x W -> their probabilities."""
        return scores.softmax(dim=0)

    def choose(self, scores: Tensor) -> Tensor:
        """Scores that are handed out, or probabilities, classes x H x W -> labels, H x W int64."""
        return highest_class(scores)[1]

    @torch.no_grad()
    def labels(self, chunk: int = CHUNK) -> Tensor:
        """The class of the highest score, H x W int64; the first of equal ones, as argmax has it."""
        classes = self.candidates()
        pixels = max(self.input_size[0] * self.input_size[1], self.image_size[0] * self.image_size[1])
        best = labels = None
        for part in classes.split(max(1, chunk // pixels)):
            highest, index = highest_class(self.at_image_size(part))
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
            return self._at_window_size(self.windows[0], classes)
        total, count = None, None
        for window in self.windows:
            scores = self._at_window_size(window, classes)
            if total is None:
                total = scores.new_zeros(len(scores), *self.input_size)
                count = scores.new_zeros(1, *self.input_size)
            rows = slice(window.top, window.top + window.height)
            columns = slice(window.left, window.left + window.width)
            total[:, rows, columns] += scores
            count[:, rows, columns] += 1
        return total / count

    def _at_input_rows(self, begin: int, end: int) -> Tensor:
        if len(self.windows) == 1:
            return self._at_window_rows(self.windows[0], begin, end)
        total, count = None, None
        for window in self.windows:
            first, last = max(begin, window.top), min(end, window.top + window.height)
            if first >= last:
                continue
            scores = self._at_window_rows(window, first - window.top, last - window.top)
            if total is None:
                total = scores.new_zeros(len(scores), end - begin, self.input_size[1])
                count = scores.new_zeros(1, end - begin, self.input_size[1])
            place = (slice(None), slice(first - begin, last - begin), slice(window.left, window.left + window.width))
            total[place] += scores
            count[place] += 1
        return total / count

    def _at_window_rows(self, window: Window, begin: int, end: int) -> Tensor:
        return self._rows_of(window.scores, window, begin, end)

    def _rows_of(self, maps: Tensor, window: Window, begin: int, end: int) -> Tensor:
        """Rows of coarse maps after their resize to the window's size."""
        need = _Rows(begin, end, maps.shape[1], window.height, self.align_corners)
        return self._resize(need.blend(maps[:, need.begin : need.end]), (end - begin, window.width))

    def _at_window_size(self, window: Window, classes: Tensor | slice) -> Tensor:
        return self._resize(window.scores[classes], (window.height, window.width))

    def _resize(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        return resize(scores[None], size=size, align_corners=self.align_corners)[0]


class BinaryScores(ImageScores):
    """One logit for two classes; class 1 is where its sigmoid is above ``threshold``."""

    def __init__(self, *args, threshold: float, **options) -> None:
        super().__init__(*args, **options)
        self.threshold = threshold

    def decide(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, 1 x H x W -> the probability of class 1, 1 x H x W, and the labels, H x W int64."""
        probability = self.probabilities(scores)
        return probability, self.choose(probability)

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def choose(self, scores: Tensor) -> Tensor:
        return (scores[0] > self.threshold).long()

    @torch.no_grad()
    def labels(self, chunk: int = CHUNK) -> Tensor:
        return self.decide(self.at_image_size())[1]


class MaskScores(ImageScores):
    """The scores of one image from Q queries: class probability times mask, summed over the queries.

    The windows' scores are pairs of class logits, Q x (classes + 1) with "no object" last, and mask logits,
    Q x h x w. A strip of rows goes through the same computation as the whole, so that labels differ from
    its own only where two classes are equal up to float32's rounding.
    """

    @property
    def num_classes(self) -> int:
        return len(self.windows[0].scores[0])

    @staticmethod
    def _prepare(scores: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Class probabilities, classes x Q, and mask logits."""
        class_logits, mask_logits = scores
        return _single(class_logits).softmax(dim=-1)[:, :-1].T.contiguous(), _single(mask_logits).contiguous()

    @property
    def _depth(self) -> int:
        return max(self.windows[0].scores[0].shape)  # queries or classes

    def labels(self, chunk: int = CHUNK) -> Tensor:
        return labels_by_rows(self, chunk)

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores  # as they are: sums of products of probabilities

    def _at_window_rows(self, window: Window, begin: int, end: int) -> Tensor:
        probabilities, masks = window.scores
        return _combine(probabilities, self._rows_of(masks, window, begin, end))

    def _at_window_size(self, window: Window, classes: Tensor | slice) -> Tensor:
        probabilities, masks = window.scores
        return _combine(probabilities[classes], self._resize(masks, (window.height, window.width)))


class MeanScores:
    """One image in several views, each as :class:`ImageScores`: the mean of their probabilities.

    All classes of a few rows are at hand at a time, of one view after the other.
    """

    def __init__(self, views: Sequence[ImageScores]) -> None:
        self.views, self.image_size = views, views[0].image_size
        self.num_classes, self.choose = views[0].num_classes, views[0].choose

    def at_image_rows(self, start: int, stop: int) -> Tensor:
        """Mean probabilities of a strip of the image, classes x (stop - start) x W."""
        total = 0
        for view in self.views:
            total = total + view.probabilities(view.at_image_rows(start, stop))
        return total / len(self.views)

    def decide(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """Mean probabilities, classes x H x W -> the same, and the labels, H x W int64."""
        return probabilities, self.choose(probabilities)

    def at_image_size(self) -> Tensor:
        """Mean probabilities, classes x H x W."""
        return self.at_image_rows(0, self.image_size[0])

    def rows_at_a_time(self, chunk: int) -> int:
        return min(view.rows_at_a_time(chunk) for view in self.views)

    def labels(self, chunk: int = CHUNK) -> Tensor:
        return labels_by_rows(self, chunk)


@torch.no_grad()
def labels_by_rows(scores: ImageScores | MeanScores, chunk: int = CHUNK) -> Tensor:
    """Labels, H x W int64, from all classes of a few rows at a time."""
    height, rows = scores.image_size[0], scores.rows_at_a_time(chunk)
    strips = (scores.at_image_rows(start, min(start + rows, height)) for start in range(0, height, rows))
    return torch.cat([scores.choose(strip) for strip in strips])


def highest_class(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The highest score of each pixel, H x W, and its class, int64, the first of equal ones: C x H x W.

    As ``scores.max(dim=0)``, which on a CPU takes one pixel after the other. Where a score is NaN, the class is any.
    """
    if scores.device.type != 'cpu' or scores.dtype not in (torch.float32, torch.float64):
        return scores.max(dim=0)
    highest, count = scores.amax(dim=0), len(scores)
    wins = torch.ge(scores, highest, out=torch.empty_like(scores))  # 1 or 0: numbers are faster than bool
    first = wins.mul_(torch.arange(count, 0, -1, dtype=scores.dtype).view(-1, 1, 1)).amax(dim=0)
    return highest, (count - first.long()).clamp_(max=count - 1)


class _Rows:
    """The rows that a bilinear resize from ``size`` to ``new_size`` rows reads for rows ``start`` to ``stop``.

    Attributes:
        begin, end: the rows that are read.
    """

    def __init__(self, start: int, stop: int, size: int, new_size: int, align_corners: bool) -> None:
        self.same = size == new_size
        if self.same:
            self.begin, self.end = start, stop
            return
        # In float32, as PyTorch's resize has it.
        row = torch.arange(start, stop, dtype=torch.float32)
        if align_corners:
            place = row * torch.tensor((size - 1) / max(new_size - 1, 1))
        else:
            place = ((row + 0.5) * torch.tensor(size / new_size) - 0.5).clamp(min=0)
        upper = place.long().clamp(max=size - 1)
        lower = (upper + 1).clamp(max=size - 1)
        self.begin, self.end = int(upper[0]), int(lower[-1]) + 1
        self.upper, self.lower = upper - self.begin, lower - self.begin
        self.share = (place - upper)[:, None]

    def blend(self, x: Tensor) -> Tensor:
        """C x (end - begin) x W, the rows read -> C x (stop - start) x W."""
        if self.same:
            return x
        upper, lower, share = (from_host(part, x.device) for part in (self.upper, self.lower, self.share))
        return x[:, upper] * (1 - share) + x[:, lower] * share


def _single(scores: Tensor) -> Tensor:
    """In single precision, after networks in half precision; double stays."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _combine(probabilities: Tensor, masks: Tensor) -> Tensor:
    """Class probabilities, classes x Q, and mask logits, Q x H x W -> classes x H x W."""
    with full_precision(masks):
        return (probabilities @ masks.sigmoid().flatten(1)).unflatten(1, masks.shape[1:])


def _over_3x3(extreme, x: Tensor) -> Tensor:
    """The extreme over every 3x3 neighbourhood that lies inside, C x h x w -> C x (h - 2) x (w - 2)."""
    x = extreme(extreme(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return extreme(extreme(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])
