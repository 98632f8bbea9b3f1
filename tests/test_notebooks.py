"""The notebooks of the documentation run, in their short form."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob('docs/notebooks/*.ipynb'))


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_its_cells_run_in_order(notebook, tmp_path):
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    assert not any(cell.get('outputs') for cell in cells), 'clear its outputs: they would go out of date'
    program = '\n\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code')
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'LRFORMER_SHORT': '1', 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(
        [sys.executable, '-c', program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 2
