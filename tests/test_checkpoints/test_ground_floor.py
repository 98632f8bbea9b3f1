"""The room imports nothing from above: what reads weights must not need models, loops or data."""

import subprocess
import sys


def test_checkpoints_and_zoo_import_no_room_above():
    rooms = '{m.split(".")[1] for m in sys.modules if m.startswith("mmseg.")}'
    program = f'import sys, mmseg.checkpoints; print(*{rooms}); import mmseg.zoo; print(*{rooms})'
    run = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    checkpoints, zoo = (set(line.split()) for line in run.stdout.splitlines())
    assert checkpoints == {'checkpoints', 'utils', 'version'}
    assert zoo == checkpoints | {'zoo'}
