"""Check the data of a config: python tools/misc/check_dataset.py CONFIG."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import run  # noqa: E402

if __name__ == '__main__':
    run('check')
