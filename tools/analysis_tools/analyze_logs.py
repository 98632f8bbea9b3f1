"""Says what the logs of trainings hold: python tools/analysis_tools/analyze_logs.py WORK_DIR [WORK_DIR ...].

For each run: iterations, starts, steps left out, time an iteration, losses at the end, the best and the last of each
metric. `lrformer curves WORK_DIR ...` draws them.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.report.history import read_history, summary  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='of trainings')
    args = parser.parse_args()
    console = Console()
    for work_dir in args.work_dirs:
        console.print(summary(read_history(work_dir)))


if __name__ == '__main__':
    main()
