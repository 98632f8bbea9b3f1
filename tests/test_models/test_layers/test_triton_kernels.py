import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_kernels_in_tritons_interpreter():
    """In a process of its own: the interpreter is chosen before Triton is imported, and leaves its traces there."""
    pytest.importorskip('triton', reason='Triton is not installed: no kernels')
    tests = sorted(map(str, Path(__file__).parent.glob('test_*_kernels.py')))
    tests.remove(__file__)
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *tests]
    run = subprocess.run(command, env={**os.environ, 'TRITON_INTERPRET': '1'}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
