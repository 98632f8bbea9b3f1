"""The page and the picture of trainings: curves, starts, steps left out, predictions over time."""

import io
import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import cv2

from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.image_file import read_image

from .history import History, index_of_best, read_history
from .page import write_page

POINTS = 1000  # of a curve
IMAGES, TIMES, WIDTH = 4, 6, 480  # pictures of a run: how many images, how often each, and their width
# The plots: title, the names that they show by what these contain, and whether the y axis is logarithmic.
PLOTS = (
    ('Losses', ('loss',), True),
    ('Learning rates', ('lr',), False),
    ('Gradient norm', ('grad_norm',), True),
    ('Validation', (), False),
    ('Accuracy in training', ('acc',), False),
    ('Throughput', ('images per second',), False),
    ('Seconds an iteration', ('time',), False),
)


def write_training_report(work_dirs: Sequence[str | Path], folder: str | Path) -> Path:
    """Write ``training.html`` and ``curves.png`` about runs.

    Args:
        work_dirs: of one run, or of several to lay over each other.
        folder: where.

    Returns:
        The page.

    Raises:
        FileNotFoundError: nothing was logged in one of them.
    """
    runs = [read_history(work_dir) for work_dir in work_dirs]
    names = _distinct([run.name for run in runs], work_dirs)
    shown = [_run(run, name) for run, name in zip(runs, names, strict=True)]
    plots = [dict(title=title, names=_names(shown, title, parts), log=log) for title, parts, log in PLOTS]
    data = dict(runs=shown, plots=[plot for plot in plots if plot['names']])
    samples = {name: _samples(run) for run, name in zip(runs, names, strict=True)}
    title = f'Training of {names[0]}' if len(runs) == 1 else f'{len(runs)} trainings'
    page = write_page(Path(folder, 'training.html'), 'training.html', title, {}, dict(data=data, samples=samples))
    with atomic_write(str(Path(folder, 'curves.png'))) as file:
        file.write(_picture(data))
    return page


def _distinct(names: list[str], work_dirs: Sequence[str | Path]) -> list[str]:
    return names if len(set(names)) == len(names) else [str(work_dir) for work_dir in work_dirs]


def _run(run: History, name: str) -> dict:
    train = dict(run.train)
    if run.batch and 'time' in train:
        x, seconds = train['time']
        train['images per second'] = (x, [run.batch / max(s, 1e-9) for s in seconds])
    left = run.seconds_left()
    latest = {name: y[-1] for name, (x, y) in run.val.items() if y and name not in ('time', 'data_time')}
    return dict(
        name=name,
        train={name: _thin(*curve) for name, curve in train.items()},
        val={name: _thin(*curve) for name, curve in run.val.items() if name not in ('time', 'data_time')},
        iteration=run.iteration,
        length=run.length,
        left=None if left is None else str(timedelta(seconds=round(left))),
        latest=latest,
        best={name: y[index_of_best(name, y)] for name in latest for y in run.val[name][1:]},
        starts=[vars(start) for start in run.starts],
        left_out=run.left_out,
    )


def _thin(x: list[int], y: list[float]) -> dict:
    step = max(1, math.ceil(len(x) / POINTS))
    kept = sorted({*range(0, len(x), step), len(x) - 1})
    return dict(x=[x[i] for i in kept], y=[y[i] for i in kept])


def _names(runs: Sequence[dict], title: str, parts: Sequence[str]) -> list[str]:
    if title == 'Validation':
        return list(dict.fromkeys(name for run in runs for name in run['val'] if '.' not in name))
    names = dict.fromkeys(name for run in runs for name in run['train'])
    return [name for name in names if any(part in name for part in parts)]


def _samples(run: History) -> dict[str, list[tuple[int, bytes]]]:
    """Some images at some of their validations, the first and the last among them."""
    found = {}
    for name in sorted(run.pictures)[:IMAGES]:
        iterations = sorted(run.pictures[name])
        last = len(iterations) - 1
        chosen = sorted({round(i * last / max(TIMES - 1, 1)) for i in range(TIMES)})
        found[name] = [(iterations[i], _small(run.pictures[name][iterations[i]])) for i in chosen]
    return found


def _small(file: Path) -> bytes:
    picture = read_image(str(file))
    scale = min(1, WIDTH / picture.shape[1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def _picture(data: dict) -> bytes:
    """The plots as one PNG."""
    plots = data['plots']
    columns = min(3, max(len(plots), 1))
    rows = max(1, math.ceil(len(plots) / columns))
    from matplotlib.figure import Figure  # here: it takes half a second

    figure = Figure(figsize=(5 * columns, 3.4 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(plots) :]:
        axis.set_axis_off()
    for axis, plot in zip(axes[: len(plots)], plots, strict=True):
        for run in data['runs']:
            for name in plot['names']:
                curve = run['val' if plot['title'] == 'Validation' else 'train'].get(name)
                if curve is not None:
                    label = name if len(data['runs']) == 1 else f'{run["name"]}: {name}'
                    axis.plot(curve['x'], curve['y'], '.-' if len(curve['x']) < 20 else '-', label=label, linewidth=1.2)
        if plot['log'] and any((line.get_ydata() > 0).any() for line in axis.lines):
            axis.set_yscale('log')
        axis.set(title=plot['title'], xlabel='iteration')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    content = io.BytesIO()
    figure.savefig(content, dpi=100)
    return content.getvalue()
