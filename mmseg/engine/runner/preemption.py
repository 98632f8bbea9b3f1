"""Leaving in time: SIGTERM, by which slurm takes nodes back, ends training after the iteration at hand.

The handler only takes a note. The training loop looks at it after each iteration, when the state is whole, and all
processes leave together, or none: a checkpoint is on the disk then.
"""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import all_reduce, is_distributed

# The exit code that says: start me again. 75 on Linux and macOS; slurm_common.sh knows it.
RESTART_ME = getattr(os, 'EX_TEMPFAIL', 75)
WORKER_GRACE = 30  # seconds

_asked = threading.Event()


class Preempted(SystemExit):
    """Ends the program with :data:`RESTART_ME`, after a checkpoint was saved."""

    def __init__(self) -> None:
        super().__init__(RESTART_ME)


@contextmanager
def heed_sigterm() -> Iterator[None]:
    """Let SIGTERM only ask to leave while this lasts; outside of the main thread, which alone can, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: _asked.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _asked.clear()


def asked_to_leave() -> bool:
    """Whether this process received SIGTERM under :func:`heed_sigterm`."""
    return _asked.is_set()


def all_leave() -> bool:
    """Whether any process was asked to leave: all of them must call this at the same point."""
    if not is_distributed():
        return asked_to_leave()
    asked = torch.tensor(int(asked_to_leave()))
    all_reduce(asked, op='max')
    return bool(asked.item())


def init_worker(worker_id: int, quiet: bool = False) -> None:
    """Prepare a data loader's worker: slurm sends SIGTERM to it as well, and the last iteration still needs it.

    Its own process sends the same signal when it ends, and is obeyed at once.

    Args:
        worker_id: its number.
        quiet: show warnings of the first worker only.
    """
    if hasattr(signal, 'sigwaitinfo'):  # which tells who sent a signal; macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_answer_sigterm, daemon=True).start()
    if quiet and worker_id > 0:
        warnings.simplefilter('ignore')


def _answer_sigterm() -> None:
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == os.getppid():
            os._exit(0)
        signal.alarm(WORKER_GRACE)
