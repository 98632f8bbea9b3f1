"""Print a config with all that it inherits: python tools/misc/print_config.py CONFIG [--origins]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import run  # noqa: E402

if __name__ == '__main__':
    run('config')
