"""The proof: a file and its model on the same images, at several sizes and orientations, one image and three."""

import copy
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

from mmseg.datasets.scene_painter import draw_scene
from mmseg.inference import Segmentor
from mmseg.structures import SegDataSample
from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.image_file import read_image

from .metadata import Metadata
from .writing import Export

SIZES = ((128, 128), (161, 203), (203, 161), (352, 480), (33, 350))
BATCHES = (1, 3)
# A number, in parts of the largest. Of probabilities more: resizes to bytes round to either side, which moves a few
# pixels by a grey level.
TOLERANCE, TOLERANCE_WHOLE_WAY = 1e-4, 5e-3
ROUNDING, ROUNDED = 1e-6, 4  # of an image, in parts of its largest number; and how often it is tried
EQUAL, EQUAL_WHOLE_WAY = 0.999, 0.99  # cv2 resizes bytes with weights of 11 bits, which no runtime does


@dataclass(frozen=True)
class Comparison:
    """One batch through both.

    Attributes:
        batch, height, width: what was fed.
        error: largest difference of two numbers, in parts of the largest number; the worst of the outputs. Above 1e-4,
            it is that to the model in float64 where the file is nearer to it than to the one in float32. Of
            probabilities, at all but one pixel of a thousand: between bytes, resizes round to either. None of labels.
        tolerance: what the error may be, see :func:`_tolerance`.
        equal: share of pixels with equal labels.
        least_equal: what it must be.
        seconds, file_seconds: that model and file took; where less than a second, at the second time.
        memory, file_memory: MB that each took at the most; None where the system does not tell.
    """

    batch: int
    height: int
    width: int
    error: float | None
    tolerance: float
    equal: float
    least_equal: float
    seconds: float
    file_seconds: float
    memory: float | None
    file_memory: float | None

    @property
    def passed(self) -> bool:
        return (self.error is None or self.error <= self.tolerance) and self.equal >= self.least_equal


def cells_of(batch: int | None, size: Sequence[int] | None, sides: Sequence[int] | None) -> list[tuple[int, int, int]]:
    """(batch, height, width) of each comparison of a file.

    Args:
        batch, size: what the file is fixed to, if anything.
        sides: heights and widths in turn, in place of SIZES.

    Raises:
        ValueError: there is a height without a width.
    """
    if sides and len(sides) % 2:
        raise ValueError(f'--compare takes heights and widths in turn, not {len(sides)} numbers')
    stated = list(zip(sides[::2], sides[1::2], strict=True)) if sides else SIZES
    sizes = [tuple(size)] if size else stated
    return [(count, *sides) for sides in sizes for count in ([batch] if batch else BATCHES)]


def compare(
    work: Export,
    run: Callable[[np.ndarray], Sequence[np.ndarray]],
    cells: Sequence[tuple[int, int, int]],
    pictures: Sequence[np.ndarray],
) -> list[Comparison]:
    """Run a model and its file on the same images.

    A file of scores is compared with the network's, and its labels are those of both after the same way. The labels of
    a file of the whole way are compared with those of a prediction through the test pipeline.

    Args:
        work: what wrote the file.
        run: the file: a batch in, its outputs in order.
        cells: (batch, height, width) of each comparison.
        pictures: images, H x W x 3, BGR, uint8; they are resized, and taken in turn.
    """
    one_cell = _compare_scores if work.output == 'scores' else _compare_whole_way
    return [one_cell(work, run, _batch(pictures, *cell)) for cell in cells]


def _batch(pictures: Sequence[np.ndarray], batch: int, height: int, width: int) -> np.ndarray:
    """B x H x W x 3."""
    return np.stack([cv2.resize(pictures[i % len(pictures)], (width, height)) for i in range(batch)])


@torch.no_grad()
def _compare_scores(work: Export, run: Callable, pictures: np.ndarray) -> Comparison:
    model = work.reference
    inputs = list(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    images = model.data_preprocessor(dict(inputs=inputs))['inputs']
    expected, seconds, memory = _measured(lambda: model._scores(images))
    got, file_seconds, file_memory = _measured(lambda: run(images.numpy()))
    expected = _outputs(expected)
    got = [torch.from_numpy(np.asarray(value, np.float32)) for value in got]
    error, tolerance = _error(got, expected), TOLERANCE
    equal = _equal(_labels(model, got, images), _labels(model, expected, images)) if np.isfinite(error) else 0.0
    if TOLERANCE < error < np.inf:  # PyTorch's float32 may be what is off
        exact = _outputs(copy.deepcopy(model).double()._scores(images.double()))
        tolerance = max(_tolerance(model, images, expected), _error(expected, exact))
        error = min(error, _error(got, exact))
    measured = seconds, file_seconds, memory, file_memory
    return Comparison(*pictures.shape[:3], error, tolerance, equal, EQUAL, *measured)


@torch.no_grad()
def _compare_whole_way(work: Export, run: Callable, pictures: np.ndarray) -> Comparison:
    segmentor = Segmentor(work.reference)
    samples, seconds, memory = _measured(lambda: list(segmentor.samples(list(pictures), len(pictures))))
    images = np.ascontiguousarray(pictures[..., ::-1])  # RGB
    got, file_seconds, file_memory = _measured(lambda: run(images))
    equal = _equal(torch.from_numpy(got[0].astype(np.int64)), [sample.pred_sem_seg.data[0] for sample in samples])
    error = None
    if work.output == 'top1':
        probability = work.graph(torch.from_numpy(images))[1]
        error = float(np.quantile(np.abs(got[1] - probability.numpy()), EQUAL))
    measured = seconds, file_seconds, memory, file_memory
    return Comparison(*pictures.shape[:3], error, TOLERANCE_WHOLE_WAY, equal, EQUAL_WHOLE_WAY, *measured)


def _equal(labels: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Share of pixels."""
    return float(np.mean([(a == b).float().mean() for a, b in zip(labels, expected, strict=True)]))


def _error(got: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, in parts of an output's largest number, of the worst of the outputs; infinite where a
    shape is another or a number is none."""
    pairs = list(zip(got, expected, strict=True))
    if any(a.shape != b.shape or not a.isfinite().all() for a, b in pairs):
        return float('inf')
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def _tolerance(model: nn.Module, images: Tensor, expected: Sequence[Tensor]) -> float:
    """What an error above TOLERANCE may be: twice what the model's own numbers change by, if its images do by rounding.

    A query of Mask2Former attends to the cells whose scores are 0 or more. Of one that is 0 but for rounding, float32
    may decide otherwise than float64 does, and a file otherwise than PyTorch. All other models hardly change.
    """
    noise, step = torch.Generator().manual_seed(0), ROUNDING * images.abs().max()
    rounded = (images + step * (2 * torch.rand(images.shape, generator=noise) - 1) for _ in range(ROUNDED))
    return max(TOLERANCE, *(2 * _error(_outputs(model._scores(image)), expected) for image in rounded))


def _outputs(said: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    return said if isinstance(said, tuple) else (said,)


def _labels(model: nn.Module, outputs: Sequence[Tensor], images: Tensor) -> list[Tensor]:
    """Labels at the input's size, by the way of every prediction."""
    parts = outputs if len(outputs) > 1 else outputs[0]
    twin = copy.copy(model)
    twin._scores = lambda inputs: tuple(parts) if len(outputs) > 1 else parts
    twin.test_cfg = {**model.test_cfg, 'mode': 'whole'}
    samples = [SegDataSample(metainfo=dict(ori_shape=tuple(images.shape[-2:]))) for _ in images]
    return [scores.labels() for scores in twin.image_scores(images, samples)]


def _measured(work: Callable) -> tuple[object, float, float | None]:
    """What a piece of work gives, the seconds and at the most how many MB it takes; what is quick is timed again."""
    before = _peak_memory(reset=True)
    start = time.perf_counter()
    result = work()
    seconds, peak = time.perf_counter() - start, _peak_memory()
    if seconds < 1:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    return result, seconds, None if before is None else max(peak - before, 0.0)


def _peak_memory(reset: bool = False) -> float | None:
    """MB that the process has held at the most, since the last reset; Linux alone tells."""
    try:
        if reset:
            Path('/proc/self/clear_refs').write_text('5')
        status = Path('/proc/self/status').read_text()
    except OSError:
        return None
    return int(re.search(r'VmHWM:\s+(\d+)', status)[1]) / 1024


def table(comparisons: Sequence[Comparison], runtime: str) -> Table:
    """The report, for a terminal."""
    shown = Table(title=f'PyTorch and {runtime} on the same images')
    for name in ('batch', 'height', 'width', 'error', 'equal labels', 'seconds', 'MB', ''):
        shown.add_column(name, justify='right')
    for c in comparisons:
        mb = '' if c.memory is None else f'{c.memory:.0f} -> {c.file_memory:.0f}'
        shown.add_row(
            *map(str, (c.batch, c.height, c.width)),
            *(
                '' if c.error is None else f'{c.error:.1e}',
                f'{c.equal:.3%}',
                f'{c.seconds:.3f} -> {c.file_seconds:.3f}',
                mb,
            ),
            'equal' if c.passed else 'DIFFERENT',
        )
    return shown


def write_report(path: Path, comparisons: Sequence[Comparison], runtime: str, metadata: Metadata) -> None:
    """The report as JSON, beside the file."""
    content = dict(
        runtime=runtime,
        passed=all(c.passed for c in comparisons),
        comparisons=[{**asdict(c), 'passed': c.passed} for c in comparisons],
        metadata=asdict(metadata),
    )
    with atomic_write(str(path)) as file:
        file.write(json.dumps(content, indent=2).encode())


def drawn_pictures(count: int = 3) -> list[np.ndarray]:
    """Street scenes, 384 x 512 x 3."""
    return [draw_scene(np.random.default_rng(i), (384, 512))[0] for i in range(count)]


def pictures_of(folder: str | Path, count: int = 3) -> list[np.ndarray]:
    """The first images of a folder.

    Raises:
        FileNotFoundError: there is no image in it.
    """
    files = sorted(file for file in Path(folder).rglob('*') if file.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    if not files:
        raise FileNotFoundError(f'{folder}: no .jpg or .png in it to compare on')
    return [read_image(str(file)) for file in files[:count]]


@torch.no_grad()
def draw_weights(model: nn.Module) -> None:
    """Scales and norms as a trained model might have them; as built, a network hardly listens to its attention."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if name.endswith('running_var') or (name.endswith(('gamma', 'weight')) and value.dim() == 1):
            value.uniform_(0.5, 1.5)
        elif name.endswith(('running_mean', 'bias')):
            value.normal_(std=0.1)
