"""What the tests need of the process that they run in."""

import signal

import mmengine.utils.manager
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_signals():
    """Give the signals back that a program under test was to end with: a real one takes them along."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def free_lock():
    """mmengine keeps a lock where the constructor of a named instance fails, and other threads then wait for ever."""
    yield
    lock = mmengine.utils.manager._lock
    assert not lock._is_owned(), 'mmengine.utils.manager._lock is still held'
