"""Progress of a loop: a live bar on a terminal, a plain line now and then elsewhere (logs, pipes, slurm)."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar('T')


def track(
    items: Iterable[T], total: int | None, description: str, unit: str = 'it', interval: float = 30.0
) -> Iterator[T]:
    """Yield ``items`` unchanged while showing how many of ``total`` are done, the rate and the time left.

    Args:
        total: None where it is not known, e.g. of a camera's frames.
        unit: what is counted, for the rate, e.g. 'images'.
        interval: seconds between plain lines where the output is no terminal; the last item has one always.
    """
    console = Console()
    show = _bar if console.is_terminal else _lines
    return show(items, total, description, unit, interval, console)


def _bar(items, total, description, unit, interval, console):
    columns = [
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total, rate='')
        start = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            rate = done / max(time.monotonic() - start, 1e-9)
            progress.update(task, advance=1, rate=f'{rate:.1f} {unit}/s')


def _lines(items, total, description, unit, interval, console):
    start = printed = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - printed < interval and done != total:
            continue
        printed = now
        rate = done / max(now - start, 1e-9)
        left = f', {max(total - done, 0) / rate:.0f} s left' if total is not None else ''
        print(f'{description}: {done}/{total or "?"}, {rate:.1f} {unit}/s{left}', flush=True)
