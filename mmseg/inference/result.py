"""What is known of one image after it was segmented, and how it shows itself."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from mmseg.datasets.transforms.base import count_labels
from mmseg.utils.atomic_file import atomic_write
from mmseg.visualization.blend import blend

from .shapes import Region, regions

MIN_PIXELS = 16  # smaller regions are left out of outlines


@dataclass(frozen=True)
class Classes:
    """The classes that label maps speak of.

    Attributes:
        names: by label.
        palette: C x 3, uint8, RGB.
        nothing: the label of pixels that are none of them: 255, or 65535 where classes are so many.
    """

    names: tuple[str, ...]
    palette: np.ndarray
    nothing: int

    @property
    def dtype(self) -> type:
        return np.uint8 if self.nothing == 255 else np.uint16


@dataclass
class Result:
    """A segmented image.

    Attributes:
        name: of the image, without suffix.
        labels: H x W, uint8 (uint16 with more than 255 classes): the class of each pixel, ``classes.nothing`` for none.
        classes: names by label, and colours.
        picture: the image, H x W x 3, BGR, uint8.
        scores: classes x H x W, float16: probability of each class; None unless asked for.
        source: file or address of the image.
    """

    name: str
    labels: np.ndarray
    classes: Classes = field(repr=False)
    picture: np.ndarray = field(repr=False)
    scores: np.ndarray | None = field(default=None, repr=False)
    source: str = ''

    def counts(self) -> list[tuple[int, int]]:
        """Label and number of pixels of each class that occurs."""
        values, counts = count_labels(self.labels)
        return [(int(v), int(n)) for v, n in zip(values, counts, strict=True) if v != self.classes.nothing]

    @cached_property
    def regions(self) -> tuple[list[Region], np.ndarray]:
        """The connected regions of all classes, as :func:`.shapes.regions` gives them, without the smallest."""
        return regions(self.labels, [label for label, _ in self.counts()], MIN_PIXELS)

    def areas(self) -> dict[str, float]:
        """Share of the image that each class has, of those that occur, by name."""
        return {self.classes.names[label]: pixels / self.labels.size for label, pixels in self.counts()}

    def plot(self, opacity: float = 0.5, legend: bool = True) -> np.ndarray:
        """The image under the colours of its classes, H x W x 3, RGB, uint8; a legend stands at its right."""
        return cv2.cvtColor(self.drawn(opacity, legend), cv2.COLOR_BGR2RGB)

    def drawn(self, opacity: float = 0.5, legend: bool = True) -> np.ndarray:
        """:meth:`plot` as OpenCV has it, BGR."""
        drawn = blend(self.picture, self.labels, self.classes.palette[:, ::-1], opacity)
        return np.concatenate([drawn, self._legend(len(drawn))], axis=1) if legend else drawn

    def save(self, path: str | Path, opacity: float = 0.5, legend: bool = True) -> None:
        """Write :meth:`plot` to a picture file, whose format goes by its suffix."""
        write_picture(path, self.drawn(opacity, legend))

    def to_supervision(self):
        """``supervision.Detections``: a mask, its box, label and name for each class that occurs, by label.

        Raises:
            ModuleNotFoundError: ``supervision`` is not installed.
        """
        if importlib.util.find_spec('supervision') is None:
            raise ModuleNotFoundError('to_supervision needs the package supervision: pip install supervision')
        import supervision

        labels = np.array([label for label, _ in self.counts()], dtype=int)
        masks = self.labels == labels[:, None, None]
        names = np.array([self.classes.names[label] for label in labels], dtype=str)
        return supervision.Detections(
            xyxy=supervision.mask_to_xyxy(masks), mask=masks, class_id=labels, data=dict(class_name=names)
        )

    def _repr_png_(self) -> bytes:
        return encode(self.drawn(), '.png')

    def _legend(self, height: int) -> np.ndarray:
        """Colours, names and shares of the classes that occur, the largest first, as many as there is room for."""
        scale = float(np.clip(height / 1000, 0.35, 1.2))
        line, text = round(30 * scale) + 2, (cv2.FONT_HERSHEY_SIMPLEX, scale)
        rows = sorted(self.counts(), key=lambda row: -row[1])[: max((height - line // 2) // line, 0)]
        widest = max(cv2.getTextSize(name, *text, 1)[0][0] for name in (*self.classes.names, 'x'))
        number = cv2.getTextSize('100 %', *text, 1)[0][0]
        panel = np.full((height, line + widest + number + 2 * line // 2, 3), 255, np.uint8)
        for i, (label, pixels) in enumerate(rows):
            top = line // 4 + i * line
            colour = self.classes.palette[label][::-1].tolist()
            cv2.rectangle(panel, (line // 4, top), (line - 2, top + line - 4), colour, -1)
            for x, words in (
                (line + 2, self.classes.names[label]),
                (line + widest + line // 2, f'{pixels / self.labels.size:.0%}'),
            ):
                place = (x, top + round(0.8 * line) - 2)
                cv2.putText(panel, words, place, *text, (0, 0, 0), 1, cv2.LINE_AA)
        return panel


def encode(picture: np.ndarray, suffix: str, options: Sequence[int] = ()) -> bytes:
    """A BGR picture as the bytes of a file.

    Raises:
        ValueError: no picture format has this suffix.
    """
    try:
        done, content = cv2.imencode(suffix, picture, list(options))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f'a picture cannot be written as {suffix!r}; use .png or .jpg')
    return content.tobytes()


def write_picture(path: str | Path, picture: np.ndarray) -> None:
    content = encode(picture, Path(path).suffix or '.png')
    with atomic_write(str(path)) as file:
        file.write(content)
