"""What data loader workers make of SIGTERM."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg.engine.processes import preemption

PROGRAM = """
import os, signal, subprocess, sys
from functools import partial
from torch.utils.data import DataLoader
from mmseg.engine.processes import preemption

preemption.WORKER_GRACE = 3600  # who waits for it hangs

class Squares:
    def __len__(self):
        return 40
    def __getitem__(self, index):
        return index * index

init_worker = partial(preemption.init_worker, quiet=True)
loader = DataLoader(Squares(), num_workers=2, persistent_workers=True, worker_init_fn=init_worker)
batches = iter(loader)
found = [int(next(batches)) for _ in range(2)]  # one of each worker, so both are ready
if 'stranger' in sys.argv:
    for worker in batches._workers:
        subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)
found += [int(batch) for batch in batches]
print(found == [i * i for i in range(40)])
"""


@pytest.mark.skipif(not hasattr(signal, 'sigwaitinfo'), reason='this system does not tell who sent a signal')
@pytest.mark.parametrize('sender', ['parent', 'stranger'])
def test_workers_go_on_after_a_strangers_sigterm_and_end_with_their_process(sender):
    """A program that ends with workers alive ends without a word, since it ends them itself."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, 'PYTHONPATH': str(root)}
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM, sender], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout.strip()) == (0, 'True'), result.stderr
    assert 'Error' not in result.stderr and 'killed' not in result.stderr


def test_a_second_ctrl_c_ends_at_once(monkeypatch):
    with preemption.heed_sigterm():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same keystroke, by way of torchrun
        assert preemption.all_leave() is preemption.Interrupted
        monkeypatch.setattr(preemption, 'ONE_KEYSTROKE', -1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert preemption.all_leave() is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler
