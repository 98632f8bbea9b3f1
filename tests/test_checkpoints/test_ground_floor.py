"""The room imports nothing from above: what reads weights must not need models, loops or data."""

import subprocess
import sys


def test_checkpoints_import_no_room_above():
    program = 'import mmseg.checkpoints, sys; print(*[m for m in sys.modules if m.startswith("mmseg.")])'
    loaded = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout.split()
    assert 'mmseg.checkpoints.reading' in loaded
    rooms = {name.split('.')[1] for name in loaded}
    assert rooms <= {'checkpoints', 'utils', 'version'}
