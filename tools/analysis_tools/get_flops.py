"""Count a config's multiply-adds: python tools/analysis_tools/get_flops.py CONFIG --shape H W."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import run  # noqa: E402

if __name__ == '__main__':
    run('flops')
