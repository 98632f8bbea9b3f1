import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.mark.parametrize('program', ['train.py', 'test.py'])
def test_another_distributions_mmseg_is_named(tmp_path, program):
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg' / '__init__.py').write_text('raise RuntimeError("the wrong package was imported")')
    result = subprocess.run(
        [sys.executable, TOOLS / program, 'config.py'],
        env={'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr and 'pip uninstall mmsegmentation' in result.stderr
    assert 'the wrong package was imported' not in result.stderr
