"""Leaving in time: SIGTERM, by which slurm takes nodes back, and Ctrl-C end training after the iteration at hand.

The handler only takes a note. The training loop looks at it after each iteration, when the state is whole, and all
processes leave together, or none: a checkpoint is on the disk then.
"""

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from mmengine.dist import all_reduce, is_distributed

# The exit code that says: start me again. 75 on Linux and macOS; slurm_common.sh knows it.
RESTART_ME = getattr(os, 'EX_TEMPFAIL', 75)
WORKER_GRACE = 30  # seconds
ONE_KEYSTROKE = 1  # seconds in which it may arrive twice, from the terminal and from torchrun

_asked: dict[int, float] = {}  # signal -> when it came


class Preempted(SystemExit):
    """Ends the program with :data:`RESTART_ME`, after a checkpoint was saved."""

    asked_by, code = 'SIGTERM', RESTART_ME

    def __init__(self) -> None:
        super().__init__(self.code)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after a checkpoint was saved."""

    asked_by, code = 'Ctrl-C', 128 + signal.SIGINT


@contextmanager
def heed_sigterm() -> Iterator[None]:
    """Let SIGTERM, and Ctrl-C the first time, only ask to leave while this lasts.

    Outside of the main thread, which alone can, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _note)}
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):  # not where a shell or a program wants it otherwise
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def _note(number: int, frame: FrameType | None) -> None:
    again = number == signal.SIGINT and number in _asked
    if again and time.monotonic() - _asked[number] > ONE_KEYSTROKE:
        signal.default_int_handler(number, frame)
    if number == signal.SIGINT and not again and os.environ.get('RANK', '0') == '0':
        os.write(2, b'\nCtrl-C: a checkpoint is saved after this iteration; once more ends the program at once\n')
    _asked.setdefault(number, time.monotonic())


def asked_to_leave() -> bool:
    """Whether this process received one of the signals under :func:`heed_sigterm`."""
    return bool(_asked)


def all_leave() -> type[Preempted] | type[Interrupted] | None:
    """What any process was asked for, to be raised; all of them must call this at the same point."""
    asked = torch.tensor(2 if signal.SIGINT in _asked else int(asked_to_leave()))
    if is_distributed():
        all_reduce(asked, op='max')
    return (None, Preempted, Interrupted)[int(asked)]


def init_worker(worker_id: int, quiet: bool = False) -> None:
    """Prepare a data loader's worker: slurm and terminals send their signals to it, and the last iteration needs it.

    Its own process sends SIGTERM as well when it ends, and is obeyed at once.

    Args:
        worker_id: its number.
        quiet: show warnings of the first worker only.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
