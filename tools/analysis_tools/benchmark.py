"""Time works of this project: python tools/analysis_tools/benchmark.py; --help lists them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import run  # noqa: E402

if __name__ == '__main__':
    run('benchmark')
