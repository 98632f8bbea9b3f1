"""Draws the confusion matrix of a report: python tools/analysis_tools/confusion_matrix.py REPORT PICTURE [--by column].

The report is what `lrformer test MODEL ... --report DIR` wrote.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.report.class_plots import confusion_plot  # noqa: E402
from mmseg.report.page import read_page  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('report', type=Path, help='folder or page')
    parser.add_argument('picture', help='PNG, PDF or SVG to write')
    parser.add_argument('--by', choices=('row', 'column'), default='row', help='what adds up to 100 %% [row]')
    args = parser.parse_args()
    page = args.report / 'index.html' if args.report.is_dir() else args.report
    (data,) = read_page(page, 'data')
    names = [row['name'] for row in data['classes']]
    confusion_plot(np.array(data['matrix']), names, args.by).savefig(args.picture, dpi=120)


if __name__ == '__main__':
    main()
