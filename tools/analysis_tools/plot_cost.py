"""Draws what LRFormer costs: seconds and peak memory against the image's side, seconds against the number of classes.

    python tools/analysis_tools/plot_cost.py docs/images/cost.png --variants t s

The times are benchmark.py's, of the network alone and of prediction to labels; its options for both are below.
"""

import argparse
import os
import sys
from pathlib import Path

import matplotlib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
matplotlib.use('Agg')

import matplotlib.pyplot as plt  # noqa: E402

from mmseg.analysis.benchmark import measure, summary  # noqa: E402

SIDES, CLASSES = (256, 512, 1024, 2048), (2, 19, 60, 150, 300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('picture', help='PNG to write')
    parser.add_argument('--variants', nargs='+', default=['t'], help='such as t, s, t+')
    parser.add_argument('--sides', type=int, nargs='+', default=SIDES, help='of square images')
    parser.add_argument('--class-counts', type=int, nargs='+', default=CLASSES, help='at the second of the sides')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    args = parser.parse_args()

    def cost(work: str, classes: int = 150) -> dict:
        options = dict(batch=None, amp=None, compile=False, profile=False, backbone={}, classes=classes, warm_up=1)
        options = argparse.Namespace(**options, rounds=args.rounds, threads=args.threads)
        found = summary(measure(work, {'ours': ROOT}, options))['ours']
        print(work, classes, found)
        return found

    figure, (time, memory, classes) = plt.subplots(1, 3, figsize=(12, 3.6), layout='constrained')
    middle = args.sides[min(1, len(args.sides) - 1)]
    for variant in args.variants:
        name = f'LRFormer-{variant.upper()}'
        costs = [cost(f'forward-{variant}-{side}x{side}') for side in args.sides]
        time.plot(args.sides, [found['seconds'] for found in costs], 'o-', label=name)
        memory.plot(args.sides, [found['peak_mib'] for found in costs], 'o-', label=name)
        for kind, line in (('forward', 'o--'), ('predict', 'o-')):
            counts = [cost(f'{kind}-{variant}-{middle}x{middle}', count)['seconds'] for count in args.class_counts]
            classes.plot(args.class_counts, counts, line, label=f'{name}, {kind}')
    first = time.lines[0].get_ydata()[0]
    linear = [first * (side / args.sides[0]) ** 2 for side in args.sides]
    time.plot(args.sides, linear, 'k:', label='linear in pixels')
    for axis, label in ((time, 'seconds'), (memory, 'MiB above the weights')):
        axis.set(xlabel='side of the image', ylabel=label, xscale='log', yscale='log', xticks=args.sides)
        axis.set_xticks(args.sides, [str(side) for side in args.sides])
    classes.set(xlabel='classes', ylabel=f'seconds at {middle}x{middle}', ylim=(0, None))
    for axis in (time, memory, classes):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(args.picture, dpi=120)


if __name__ == '__main__':
    main()
