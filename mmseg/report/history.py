"""What happened in a run, read from its work dir: figures, starts, steps left out, pictures of validation."""

import bisect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from rich.table import Table

RESUMED = re.compile(r'resumed from (.+) after (\d+) iterations')
CIRCUMSTANCES = re.compile(r'was written under other circumstances \((.+)\): the global order')
EPOCH = re.compile(r'one epoch is (\d+) iterations')
LEFT_OUT = re.compile(r'iteration (\d+) left out, (.+) \(\d+ in a row')
OWN = ('work_dir', 'resume', 'load_from', 'launcher')  # keys of a config that say nothing about how it trains


@dataclass
class Start:
    """A start of a run, of which a run has several when it was resumed.

    Attributes:
        name: its folder's, the time when it began.
        resumed: the iterations that it went on after, 0 for a new one.
        source: the checkpoint that it went on from.
        changes: what differs from the start before: config values, and other circumstances.
    """

    name: str
    resumed: int = 0
    source: str = ''
    changes: list[str] = field(default_factory=list)


@dataclass
class History:
    """A run.

    Attributes:
        name: of its work dir.
        train, val: by name of a figure, the iterations at which it was logged and its values.
        starts: in order.
        left_out: iteration and reason of steps that were left out.
        pictures: by image, the files of its validations by iteration.
        length: how many iterations it is to have, None where that is not known.
        iters_per_epoch: where it counts epochs.
        batch: the global batch, None where the config does not say.
    """

    name: str
    train: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    val: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    pictures: dict[str, dict[int, Path]] = field(default_factory=dict)
    length: int | None = None
    iters_per_epoch: int | None = None
    batch: int | None = None

    @property
    def iteration(self) -> int:
        """The last one that was logged."""
        return max((x[-1] for x, _ in self.train.values() if x), default=0)

    def seconds_left(self, window: int = 20) -> float | None:
        """By the last lines' time an iteration; None where the end or the time is not known."""
        times = self.train.get('time', ([], []))[1][-window:]
        if not times or self.length is None:
            return None
        return max(self.length - self.iteration, 0) * sum(times) / len(times)


def read_history(work_dir: str | Path) -> History:
    """A run's history.

    Raises:
        FileNotFoundError: nothing was logged there.
    """
    folder = Path(work_dir)
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{folder} is no work dir of a training: it has no TIME/vis_data/scalars.json')
    history, before = History(folder.resolve().name), None
    for log in logs:
        start = _read_start(log.parents[1], history)
        _read_scalars(log, history, start.resumed)
        config = _read_config(log.with_name('config.py'))
        if before is not None and config is not None and start.resumed:
            start.changes[:0] = _differences(before, config)
        if config is not None:
            before = config
        history.starts.append(start)
        for picture in log.parent.glob('vis_image/val_*.png'):
            if named := re.fullmatch(r'val_(.+)_(\d+)', picture.stem):
                history.pictures.setdefault(named[1], {})[int(named[2])] = picture
    if before is not None:
        loop = before.get('train_cfg') or {}
        history.length = loop.get('max_iters')
        if history.iters_per_epoch and loop.get('max_epochs'):
            history.length = history.iters_per_epoch * loop['max_epochs']
        loader = before.get('train_dataloader') or {}
        history.batch = loader.get('global_batch_size') or loader.get('batch_size')
    return history


def _read_start(folder: Path, history: History) -> Start:
    start, left_out = Start(folder.name), []
    for file in folder.glob('*.log'):
        for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
            if found := RESUMED.search(line):
                start.source, start.resumed = found[1], int(found[2])
            elif found := EPOCH.search(line):
                history.iters_per_epoch = int(found[1])
            elif found := CIRCUMSTANCES.search(line):
                start.changes.append(found[1])
            elif found := LEFT_OUT.search(line):
                left_out.append((int(found[1]), found[2]))
    _go_back(history, start.resumed)
    history.left_out += left_out
    return start


def _go_back(history: History, iteration: int) -> None:
    """Forget what an earlier start did after the iteration that a later one begins at."""
    history.left_out = [(i, reason) for i, reason in history.left_out if i <= iteration]
    history.pictures = {
        name: kept
        for name, files in history.pictures.items()
        if (kept := {i: file for i, file in files.items() if i <= iteration})
    }
    for curves in (history.train, history.val):
        for name, (x, y) in list(curves.items()):
            count = bisect.bisect(x, iteration)
            curves[name] = x[:count], y[:count]
            if not count:
                del curves[name]


def _read_scalars(file: Path, history: History, resumed: int) -> None:
    iteration = resumed
    for line in file.read_text(encoding='utf-8').splitlines():
        try:
            figures = json.loads(line)
        except ValueError:
            continue  # the line that a killed run was writing
        is_train = 'iter' in figures
        step = figures.get('step', 0)
        iteration = step if is_train else max(iteration, step)  # validations may count epochs
        for name, value in figures.items():
            if name not in ('iter', 'epoch', 'step') and isinstance(value, (int, float)):
                x, y = (history.train if is_train else history.val).setdefault(name, ([], []))
                x.append(iteration)
                y.append(value)


def _read_config(file: Path) -> dict | None:
    try:
        return Config.fromfile(file).to_dict()
    except Exception:  # of another version, or with what is not here
        return None


def _differences(before: Mapping, after: Mapping) -> list[str]:
    old, new = dict(_flat(before)), dict(_flat(after))
    changed = [key for key in {**old, **new} if old.get(key, '') != new.get(key, '') and key.split('.')[0] not in OWN]
    return [f'{key}: {old.get(key, "not there")} → {new.get(key, "not there")}' for key in changed]


def _flat(value: object, key: str = '') -> Iterator[tuple[str, str]]:
    inner = value if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, (list, tuple)) else {}
    for name, item in inner.items():
        yield from _flat(item, f'{key}.{name}' if key else str(name))
    if not inner:
        yield key, repr(value)


def index_of_best(name: str, values: Sequence[float]) -> int:
    """Of losses the lowest, of other figures the highest."""
    return (min if 'loss' in name else max)(range(len(values)), key=values.__getitem__)


def summary(run: History) -> Table:
    """A run in a table: what and how much."""
    table = Table('of', 'value', title=run.name)
    of_all = f' of {run.length}' if run.length else ''
    table.add_row('iterations', f'{run.iteration}{of_all}, {len(run.starts)} starts, {len(run.left_out)} left out')
    for name in ('time', 'data_time'):
        _, seconds = run.train.get(name, ((), ()))
        if seconds:
            table.add_row(f'{name} an iteration', f'{sum(seconds) / len(seconds):.3f} s, at most {max(seconds):.3f} s')
    for name, (_, values) in run.train.items():
        if 'loss' in name:
            table.add_row(name, f'{values[-1]:.4g}, at first {values[0]:.4g}')
    for name, (iterations, values) in run.val.items():
        if 'time' not in name:
            best = index_of_best(name, values)
            text = f'{values[-1]:.2f} after {iterations[-1]}, best {values[best]:.2f} after {iterations[best]}'
            table.add_row(name, text)
    return table
