import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / 'on_gpu.sh'


def run(report, python):
    environment = os.environ | dict(PYTHON=python, CUDA_VISIBLE_DEVICES='')
    return subprocess.run(['bash', SCRIPT, report], env=environment, capture_output=True, text=True)


def test_without_a_gpu_it_says_so(tmp_path):
    done = run(tmp_path / 'report.txt', sys.executable)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'report.txt').read_text() == done.stdout == 'no CUDA device here: nothing of this was run\n'


@pytest.mark.parametrize('python', ['false', 'no_such_python'])
def test_a_python_without_torch_is_no_machine_without_a_gpu(tmp_path, python):
    done = run(tmp_path / 'report.txt', python)
    assert done.returncode == 1 and f'{python} does not import torch' in done.stderr
