"""Run a function over many files on several processes, without letting one bad file stop the others."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import parent_process
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def available_cpus() -> int:
    """CPUs that this process may use, which in a container or under slurm are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], nproc: int = 1
) -> Iterator[tuple[Item, Result | None, str | None]]:
    """Yield ``(item, function(item), None)`` in order, or ``(item, None, reason)`` where the function raised.

    Args:
        function: must be picklable (defined at a module's top level, or a ``functools.partial`` of such).
        nproc: number of processes; 1 runs everything in this one.

    Raises:
        ValueError: ``nproc`` below 1.
        RuntimeError: a process was killed from outside (most often: out of memory).
    """
    if nproc < 1:
        raise ValueError(f'nproc must be at least 1, got {nproc}.')
    guarded = partial(_guarded, function)
    nproc = min(nproc, len(items))
    if nproc <= 1:
        return _with_items(items, map(guarded, items))
    # The pool starts here and not at the first iteration: a progress bar's thread, started later, must not be
    # alive while processes are forked.
    pool = ProcessPoolExecutor(nproc, initializer=_start_worker)
    chunk = max(1, min(32, len(items) // (nproc * 8)))
    return _with_items(items, _drain(pool, pool.map(guarded, items, chunksize=chunk)))


def _start_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle

    # A pool's workers wait for work for ever when their parent is killed.
    def watch():
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _guarded(function, item):
    try:
        return function(item), None
    except (Exception, SystemExit) as error:  # some libraries exit where they should raise
        return None, f'{type(error).__name__}: {error}'


def _with_items(items, outcomes):
    for item, (result, reason) in zip(items, outcomes, strict=True):
        yield item, result, reason


def _drain(pool, outcomes):
    try:
        yield from outcomes
    except BrokenProcessPool as error:
        raise RuntimeError(
            'A worker process was killed, most often for lack of memory. Run again with fewer processes.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
