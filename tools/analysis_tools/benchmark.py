"""Times works of this project: the network, prediction, training steps, the pipeline; and their peak memory.

    python tools/analysis_tools/benchmark.py                                 # the standard list
    python tools/analysis_tools/benchmark.py forward-s-1024x2048 train-t+    # KIND-VARIANT-HxW, else t and 512x512
    python tools/analysis_tools/benchmark.py --against 926a3b3               # beside another commit, or a folder

Each checkout does a work in a process of its own, and the processes take turns, so that ratios hold on a machine
whose speed drifts: a ratio is the median of the rounds' ratios, theirs / ours, and above 1 we are faster. With
--against a third process runs theirs once more as the control: its ratio is the noise. Peak memory is what a work
adds to the process that has built its model. Kinds are the functions of benchmark_works.py.

With --config the works are a config's test images, with any of its data: the network alone, the whole test loop
(loading, network, labels, metric), and the loop with whole maps of scores in place of streamed ones:
    python tools/analysis_tools/benchmark.py --config CONFIG --checkpoint FILE --images 15 --cfg-options data_root=DIR
Streaming skips classes that are nowhere likely, so its time depends on the weights. --cfg-options are the config's
values to change.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmark_works import parse_work
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
STANDARD = [
    *('forward-t-512x704', 'forward-t-512x512', 'forward-s-512x512', 'forward-l-512x512', 'predict-t-512x704'),
    *(
        'train-t-512x512',
        'predict-t+-512x512',
        'train-t+-512x512',
        'inference-t-512x704',
        'pipeline-t-512x704',
        'start',
    ),
]
EVALUATION = ['network', 'loop', 'unstreamed']


class Worker:
    """A process that does one work with one checkout's ``mmseg``, a turn at a time."""

    def __init__(self, checkout: Path, work: str, args: argparse.Namespace) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
        env |= dict(PYTHONPATH=str(checkout), OMP_NUM_THREADS=str(args.threads), MKL_NUM_THREADS=str(args.threads))
        self.what = f'{work} with {checkout}'
        self.process = subprocess.Popen(
            [sys.executable, ROOT / 'tools/analysis_tools/benchmark_works.py', work, json.dumps(vars(args))],
            **dict(cwd=checkout, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE),
        )
        self._answer()

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f'{self.what} failed with code {self.process.wait()}; the reason stands above')
        return line

    def turn(self) -> dict:
        print('go', file=self.process.stdin, flush=True)
        return json.loads(self._answer())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def checkout_of(name: str) -> Iterator[Path]:
    """A folder with a checkout of the project: the one of that name, or a commit's files in a temporary one."""
    if Path(name).is_dir():
        yield Path(name).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        files = subprocess.run(['git', 'archive', name], cwd=ROOT, capture_output=True)
        if files.returncode:
            raise SystemExit(f'--against {name}: no folder, and no commit of {ROOT}: {files.stderr.decode().strip()}')
        subprocess.run(['tar', '-x', '-C', folder], input=files.stdout, check=True)
        yield Path(folder)


def measure(work: str, checkouts: dict[str, Path], args: argparse.Namespace) -> dict:
    """The turns of each checkout by its name; the first ones warm up and do not count."""
    with ExitStack() as stack:
        workers = {}
        for name, checkout in checkouts.items():
            workers[name] = Worker(checkout, work, args)
            stack.callback(workers[name].end)
        turns = {name: [] for name in workers}
        for _ in range(args.warm_up + args.rounds):
            for name, worker in workers.items():
                turns[name].append(worker.turn())
    return {name: rows[args.warm_up :] for name, rows in turns.items()}


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
    return None if None in values else statistics.median(values)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('works', nargs='*', metavar='WORK', help=f'default: {" ".join(STANDARD)}')
    parser.add_argument('--against', metavar='DIR_OR_COMMIT', help='another checkout of the project to compare with')
    parser.add_argument('--rounds', type=int, default=7, help='turns of each process that count')
    parser.add_argument('--warm-up', type=int, default=2, help='turns before them')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='threads of each process')
    parser.add_argument('--json', metavar='FILE', help='write the results there')
    parser.add_argument('--batch', type=int, help='images; 1, and 2 to train')
    parser.add_argument('--classes', type=int, default=150)
    parser.add_argument('--amp', choices=('bfloat16', 'float16'), help='precision; float32 without')
    parser.add_argument('--compile', action='store_true', help='with compile=True')
    parser.add_argument('--profile', action='store_true', help='print the ten operations that take most, too')
    parser.add_argument('--backbone', type=json.loads, default={}, help='keys of the backbone, as JSON')
    parser.add_argument('--config', help='whose test images to evaluate')
    parser.add_argument('--checkpoint', help='weights for it; random ones without')
    parser.add_argument('--images', type=int, default=20, help='of its test set, at the most')
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE')
    args = parser.parse_args()
    works = args.works or (EVALUATION if args.config else STANDARD)
    for work in works:
        parse_work(work)

    results = {}
    with ExitStack() as stack:
        checkouts = {'ours': ROOT}
        if args.against:
            checkouts['theirs'] = checkouts['control'] = stack.enter_context(checkout_of(args.against))
        for work in works:
            results[work] = summary(measure(work, checkouts, args))
            print(work, json.dumps(results[work]), file=sys.stderr)
    against = f' against {args.against}' if args.against else ''
    Console(width=150).print(table(results, f'{args.rounds} rounds, {args.threads} threads{against}'))
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(dict(options=vars(args), works=results), file, indent=2)


if __name__ == '__main__':
    main()
