import os
import subprocess
import sys

import pytest

from mmseg.utils.memory import keep_freed_memory

FAULTS = """
import ctypes, resource
from mmseg.utils.memory import keep_freed_memory
kept = {call}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def use(size=100 * 2**20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
use()
print(kept, use())
"""


def run(call, **env):
    clean = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
    done = subprocess.run(
        [sys.executable, '-c', FAULTS.format(call=call)], capture_output=True, text=True, env=clean | env
    )
    assert done.returncode == 0, done.stderr
    kept, faults = done.stdout.split()
    return kept == 'True', int(faults)


def test_what_was_freed_is_used_again():
    kept, faults = run('keep_freed_memory()')
    if not kept:
        pytest.skip('not glibc')
    assert faults < 100 < run('None')[1]


def test_the_environment_goes_first(monkeypatch):
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '0')
    assert not keep_freed_memory()
