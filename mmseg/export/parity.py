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
from mmseg.structures import SegDataSample
from mmseg.utils.atomic_file import atomic_write

from .metadata import Metadata

SIZES = ((128, 128), (161, 203), (203, 161), (512, 704), (33, 700))
BATCHES = (1, 3)
TOLERANCE = 1e-4
EQUAL = 0.999


@dataclass(frozen=True)
class Comparison:
    """One batch through both.

    Attributes:
        batch, height, width: what was fed.
        error: largest difference of two numbers, in parts of the largest number; the worst of the outputs.
        equal: share of pixels with equal labels.
        seconds, file_seconds: that model and file took, after a first time.
        memory, file_memory: MB that each took at the most; None where the system does not tell.
    """

    batch: int
    height: int
    width: int
    error: float
    equal: float
    seconds: float
    file_seconds: float
    memory: float | None
    file_memory: float | None

    @property
    def passed(self) -> bool:
        return self.error <= TOLERANCE and self.equal >= EQUAL


def compare(
    model: nn.Module,
    run: Callable[[np.ndarray], Sequence[np.ndarray]],
    cells: Sequence[tuple[int, int, int]],
    pictures: Sequence[np.ndarray],
) -> list[Comparison]:
    """Run a model and its file on the same images.

    Args:
        model: the one that was exported.
        run: the file: a batch in, its outputs in order.
        cells: (batch, height, width) of each comparison.
        pictures: images, H x W x channels, uint8, as loaded; they are resized, and taken in turn.
    """
    return [_compare(model, run, _batch(model, pictures, *cell)) for cell in cells]


def _batch(model: nn.Module, pictures: Sequence[np.ndarray], batch: int, height: int, width: int) -> Tensor:
    """Normalised images, B x channels x H x W."""
    images = [cv2.resize(pictures[i % len(pictures)], (width, height)) for i in range(batch)]
    inputs = [torch.from_numpy(image.reshape(height, width, -1)).permute(2, 0, 1) for image in images]
    return model.data_preprocessor(dict(inputs=inputs))['inputs']


@torch.no_grad()
def _compare(model: nn.Module, run: Callable, images: Tensor) -> Comparison:
    expected, seconds, memory = _measured(lambda: model._scores(images))
    array = images.numpy()
    got, file_seconds, file_memory = _measured(lambda: run(array))
    expected = expected if isinstance(expected, tuple) else (expected,)
    got = [torch.from_numpy(np.asarray(value, np.float32)) for value in got]
    error = max(_error(a, b) for a, b in zip(got, expected, strict=True))
    labels = zip(_labels(model, got, images), _labels(model, expected, images), strict=True)
    equal = [(a == b).float().mean() for a, b in labels]
    shape = len(images), *images.shape[-2:]
    return Comparison(*shape, error, float(sum(equal) / len(equal)), seconds, file_seconds, memory, file_memory)


def _error(got: Tensor, expected: Tensor) -> float:
    """The largest difference, in parts of the largest number; infinite where a shape is another or a number is none."""
    if got.shape != expected.shape or not got.isfinite().all():
        return float('inf')
    return float((got - expected).abs().max() / expected.abs().max())


def _labels(model: nn.Module, outputs: Sequence[Tensor], images: Tensor) -> list[Tensor]:
    """Labels at the input's size, by the way of every prediction."""
    parts = outputs if len(outputs) > 1 else outputs[0]
    twin = copy.copy(model)
    twin._scores = lambda inputs: tuple(parts) if len(outputs) > 1 else parts
    twin.test_cfg = {**model.test_cfg, 'mode': 'whole'}
    samples = [SegDataSample(metainfo=dict(ori_shape=tuple(images.shape[-2:]))) for _ in images]
    return [scores.labels() for scores in twin.image_scores(images, samples)]


def _measured(work: Callable) -> tuple[object, float, float | None]:
    """What a piece of work gives, how long it takes when done again, and how many MB it took at the most."""
    before = _peak_memory(reset=True)
    result = work()
    peak = _peak_memory()
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
            *(f'{c.error:.1e}', f'{c.equal:.3%}', f'{c.seconds:.3f} -> {c.file_seconds:.3f}', mb),
            'equal' if c.passed else 'DIFFERENT',
        )
    return shown


def write_report(path: Path, comparisons: Sequence[Comparison], runtime: str, metadata: Metadata) -> None:
    """The report as JSON, beside the file."""
    content = dict(
        runtime=runtime,
        passed=all(c.passed for c in comparisons),
        tolerance=TOLERANCE,
        least_equal=EQUAL,
        comparisons=[{**asdict(c), 'passed': c.passed} for c in comparisons],
        metadata=asdict(metadata),
    )
    with atomic_write(str(path)) as file:
        file.write(json.dumps(content, indent=2).encode())


def drawn_pictures(count: int = 3) -> list[np.ndarray]:
    """Street scenes, 384 x 512 x 3."""
    return [draw_scene(np.random.default_rng(i), (384, 512))[0] for i in range(count)]
