"""A network in PyTorch, eager and compiled, and its files in onnxruntime and OpenVINO, float32 and int8, in turns.

Weights are random, and files take any batch and size.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from mmseg.export import Export
from mmseg.export.int8 import quantise
from mmseg.export.parity import drawn_pictures
from mmseg.zoo.catalogue import HOME

from .benchmark import Way, ratio, work_options
from .benchmark_works import build


def write_files(variant: str, folder: Path) -> dict[str, Path]:
    """The float32 file and the int8 file of a variant ('t', 't+'), found in the folder or written there."""
    name = variant.replace('+', '-plus')
    files = dict(float32=folder / f'{name}.onnx', int8=folder / f'{name}-int8.onnx')
    folder.mkdir(parents=True, exist_ok=True)
    if not files['float32'].exists():
        model = build(variant, (512, 512), work_options(threads=1))[0].eval()
        Export(model).write(files['float32'], 'onnx')
    if not files['int8'].exists():
        pictures = [picture[..., ::-1].transpose(2, 0, 1)[None] for picture in drawn_pictures(4)]
        images = [((picture - 116.0) / 57.0).astype(np.float32) for picture in pictures]
        quantise(files['float32'], files['int8'], images, equal=0)  # labels of random weights say nothing
    return files


def ways(
    variant: str, shape: Sequence[int], files: dict[str, Path], threads: int, baseline: tuple[str, Path], compiled: bool
) -> dict[str, Way]:
    """The ways of running a network by name.

    Args:
        variant: as 't' or 't+'.
        shape: height and width.
        files: those of :func:`write_files`.
        threads: of each process.
        baseline: name and folder of another checkout, whose eager network comes first.
        compiled: run the compiled network as well.
    """
    size = 'x'.join(map(str, shape))
    network, exported = f'forward-{variant}-{size}', f'exported-{variant}-{size}'
    name, checkout = baseline
    found = {
        f'eager, {name}': Way(checkout, network, work_options(threads)),
        'eager': Way(HOME, network, work_options(threads)),
    }
    if compiled:
        found['compiled'] = Way(HOME, network, work_options(threads, compile=True))
    for precision, file in files.items():
        for backend in ('onnxruntime', 'openvino'):
            options = work_options(threads, checkpoint=str(file.absolute()), backend=backend)
            found[f'{backend}, {precision}'] = Way(HOME, exported, options)
    return found


def table(turns: dict[str, list[dict]], title: str) -> Table:
    """Medians of each way, and the median over rounds of how many times faster than the first it is."""
    first = next(iter(turns.values()))
    shown = Table(title=title)
    for heading in ('way', 'ms', 'images/s', 'times faster', 'CPU s', 'peak MiB'):
        shown.add_column(heading, justify='left' if heading == 'way' else 'right')
    for name, rows in turns.items():
        seconds, cpu, peak = (
            statistics.median(row[key] or 0 for row in rows) for key in ('seconds', 'cpu_seconds', 'peak_mib')
        )
        faster = ratio(first, rows, 'seconds')
        shown.add_row(name, f'{1000 * seconds:.0f}', f'{1 / seconds:.1f}', f'{faster:.2f}', f'{cpu:.3f}', f'{peak:.0f}')
    return shown
