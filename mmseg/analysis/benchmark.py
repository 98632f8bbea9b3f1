"""Times works of this project, also beside another checkout of it: seconds, CPU time, page faults, peak memory.

Each checkout does a work in a process of its own, and the processes take turns, so that ratios hold on a machine
whose speed drifts: a ratio is the median of the rounds' ratios, theirs / ours, and above 1 we are faster. A third
process runs theirs once more as the control: its ratio is the noise. Peak memory is what a work adds to the process
that has built its model.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from mmseg.zoo.catalogue import HOME

STANDARD = (
    *('forward-t-512x704', 'forward-t-512x512', 'forward-s-512x512', 'forward-l-512x512', 'predict-t-512x704'),
    *('train-t-512x512', 'predict-t+-512x512', 'train-t+-512x512'),
    *('inference-t-512x704', 'pipeline-t-512x704', 'start'),
)
EVALUATION = ('network', 'loop', 'unstreamed')


def work_options(
    threads: int,
    batch: int | None = None,
    classes: int = 150,
    amp: str | None = None,
    compile: bool = False,
    cuda_graphs: bool = False,
    profile: bool = False,
    backbone: Mapping | None = None,
    config: str | None = None,
    cfg_options: Sequence[str] = (),
    checkpoint: str | None = None,
    backend: str | None = None,
    images: int = 20,
) -> argparse.Namespace:
    """What a work can be told, for who is not ``lrformer benchmark``, whose help describes each."""
    return argparse.Namespace(**{**locals(), 'backbone': dict(backbone or {}), 'cfg_options': list(cfg_options)})


class Way(NamedTuple):
    """What one process does: a work with one checkout's ``mmseg`` and these options."""

    checkout: Path
    work: str
    options: argparse.Namespace


class Worker:
    """A process that does one work with one checkout's ``mmseg``, a turn at a time."""

    def __init__(self, checkout: Path, work: str, options: argparse.Namespace) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
        env |= dict(OMP_NUM_THREADS=str(options.threads), MKL_NUM_THREADS=str(options.threads))
        if (checkout / 'mmseg').is_dir():  # an installed package is found without
            env['PYTHONPATH'] = str(checkout)
        self.what = f'{work} with {checkout}'
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name('benchmark_works.py'), work, json.dumps(vars(options))],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdin is not None and self.process.stdout is not None  # both are pipes
        self.asks, self.answers = self.process.stdin, self.process.stdout

    def wait_until_ready(self) -> None:
        self._answer()

    def _answer(self) -> str:
        line = self.answers.readline()
        if not line:
            raise ChildProcessError(f'{self.what} failed with code {self.process.wait()}; the reason stands above')
        return line

    def turn(self) -> dict:
        print('go', file=self.asks, flush=True)
        return json.loads(self._answer())

    def end(self) -> None:
        self.asks.close()
        self.process.wait()


@contextmanager
def checkout_of(name: str) -> Iterator[Path]:
    """A folder with a checkout of the project: the one of that name, or a commit's files in a temporary one."""
    if Path(name).is_dir():
        yield Path(name).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        files = subprocess.run(['git', 'archive', name], cwd=HOME, capture_output=True)
        if files.returncode:
            raise ValueError(f'--against {name}: no folder, and no commit of {HOME}: {files.stderr.decode().strip()}')
        subprocess.run(['tar', '-x', '-C', folder], input=files.stdout, check=True)
        yield Path(folder)


def take_turns(ways: Mapping[str, Way], rounds: int, warm_up: int) -> dict[str, list[dict]]:
    """The turns of each way by its name; the first ones warm up and do not count."""
    with ExitStack() as stack:
        workers = {}
        for name, way in ways.items():
            workers[name] = Worker(*way)
            stack.callback(workers[name].end)
        for worker in workers.values():  # which start beside each other
            worker.wait_until_ready()
        turns: dict[str, list[dict]] = {name: [] for name in workers}
        for _ in range(warm_up + rounds):
            for name, worker in workers.items():
                turns[name].append(worker.turn())
    return {name: rows[warm_up:] for name, rows in turns.items()}


def ratio(rows: Sequence[dict], base: Sequence[dict], key: str) -> float | None:
    """The median over rounds of what ``rows`` take in multiples of ``base``."""
    pairs = [(row[key], other[key]) for row, other in zip(rows, base, strict=True)]
    return statistics.median(a / b for a, b in pairs) if all(a is not None and b for a, b in pairs) else None


def summary(turns: dict) -> dict:
    """Medians of each checkout and its ratios to ours."""
    result = {}
    for name, rows in turns.items():
        medians = {key: _median([row[key] for row in rows]) for key in rows[0]}
        ratios = {f'{key}_ratio': ratio(rows, turns['ours'], key) for key in rows[0]} if name != 'ours' else {}
        result[name] = medians | ratios
    if 'control' in result:
        result['control'] |= {f'{key}_noise': ratio(turns['control'], turns['theirs'], key) for key in rows[0]}
    return result


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) else None


def table(results: dict[str, dict], title: str) -> Table:
    against = any('theirs' in result for result in results.values())
    shown = Table(title=title)
    headings = ['work', 'seconds', 'CPU s', 'faults', 'peak MiB']
    if against:
        headings += ['theirs: seconds', 'peak MiB', 'times ours: seconds', 'CPU s', 'memory', 'control']
    for heading in headings:
        shown.add_column(heading, justify='left' if heading == 'work' else 'right')
    for work, result in results.items():
        ours = result['ours']
        row = [work, _text(ours['seconds'], 3), _text(ours['cpu_seconds'], 3), _text(ours['page_faults'], 0)]
        row.append(_text(ours['peak_mib'], 0))
        if against:
            theirs = result['theirs']
            row += [_text(theirs['seconds'], 3), _text(theirs['peak_mib'], 0)]
            row += [_text(theirs[f'{key}_ratio'], 2) for key in ('seconds', 'cpu_seconds', 'peak_mib')]
            row.append(_text(result['control']['seconds_noise'], 2))
        shown.add_row(*row)
    return shown


def _text(value: float | None, digits: int) -> str:
    return '' if value is None else f'{value:.{digits}f}'


def run(works: Sequence[str], args: argparse.Namespace) -> dict[str, dict]:
    """Summaries by work: ours, and with ``args.against`` theirs and the control."""
    results = {}
    with ExitStack() as stack:
        checkouts = {'ours': HOME}
        if args.against:
            checkouts['theirs'] = checkouts['control'] = stack.enter_context(checkout_of(args.against))
        for work in works:
            ways = {name: Way(checkout, work, args) for name, checkout in checkouts.items()}
            results[work] = summary(take_turns(ways, args.rounds, args.warm_up))
            print(work, json.dumps(results[work]), file=sys.stderr)
    return results
