"""Draws what LRFormer costs: seconds, peak memory and attention's share against the image's side, and seconds against
the number of classes.

    python tools/analysis_tools/plot_cost.py docs/images/cost.png --variants t s
    python tools/analysis_tools/plot_cost.py docs/images/cost.png --threads 1 --cpu-time     # on a busy machine

The times are benchmark.py's, of the network alone and of prediction to labels; the share is of multiply-adds.
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
import torch  # noqa: E402

from mmseg.analysis.benchmark import Way, summary, take_turns, work_options  # noqa: E402
from mmseg.analysis.benchmark_works import config_of  # noqa: E402
from mmseg.analysis.flops import count  # noqa: E402
from mmseg.models.backbones.lrformer import LRSA  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402

SIDES, CLASSES = (256, 512, 1024, 2048), (2, 19, 60, 150, 300)


def attention_share(variant: str, side: int) -> float:
    """Of a forward pass's multiply-adds on a square image, the percentage in low-resolution self-attention."""
    with torch.device('meta'):  # nothing is computed
        model = MODELS.build(config_of(variant, (side, side)).model).eval()
    macs = count(model, (side, side))
    return 100 * sum(macs[name] for name, module in model.named_modules() if isinstance(module, LRSA)) / macs['']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('picture', help='PNG to write')
    parser.add_argument('--variants', nargs='+', default=['t'], help='such as t, s, t+')
    parser.add_argument('--sides', type=int, nargs='+', default=SIDES, help='of square images')
    parser.add_argument('--class-counts', type=int, nargs='+', default=CLASSES, help='at the second of the sides')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--cpu-time', action='store_true', help='in place of seconds that pass')
    args = parser.parse_args()
    register_all_modules()
    seconds, unit = ('cpu_seconds', 'CPU seconds') if args.cpu_time else ('seconds', 'seconds')

    def cost(work: str, classes: int = 150) -> dict:
        way = Way(ROOT, work, work_options(args.threads, classes=classes))
        found = summary(take_turns({'ours': way}, args.rounds, warm_up=1))['ours']
        print(work, classes, found)
        return found

    figure, (time, memory, share, classes) = plt.subplots(1, 4, figsize=(15, 3.6), layout='constrained')
    middle = args.sides[min(1, len(args.sides) - 1)]
    for variant in args.variants:
        name = f'LRFormer-{variant.upper()}'
        costs = [cost(f'forward-{variant}-{side}x{side}') for side in args.sides]
        time.plot(args.sides, [found[seconds] for found in costs], 'o-', label=name)
        memory.plot(args.sides, [found['peak_mib'] for found in costs], 'o-', label=name)
        shares = [attention_share(variant, side) for side in args.sides]
        print(name, "attention's share of multiply-adds, %:", dict(zip(args.sides, shares, strict=True)))
        share.plot(args.sides, shares, 'o-', label=name)
        for kind, line in (('forward', 'o--'), ('predict', 'o-')):
            counts = [cost(f'{kind}-{variant}-{middle}x{middle}', number)[seconds] for number in args.class_counts]
            classes.plot(args.class_counts, counts, line, label=f'{name}, {kind}')
    first = time.lines[0].get_ydata()[0]
    linear = [first * (side / args.sides[0]) ** 2 for side in args.sides]
    time.plot(args.sides, linear, 'k:', label='linear in pixels')
    labels = {time: unit, memory: 'MiB above the weights', share: "attention's share of multiply-adds, %"}
    for axis, label in labels.items():
        axis.set(xlabel='side of the image', ylabel=label, xscale='log', yscale='log', xticks=args.sides)
        axis.set_xticks(args.sides, [str(side) for side in args.sides])
        axis.xaxis.set_minor_formatter('')
        axis.yaxis.set_major_formatter('{x:g}')
        axis.yaxis.set_minor_formatter('')
    classes.set(xlabel='classes', ylabel=f'{unit} at {middle}x{middle}')
    classes.set_ylim(0, 1.1 * max(classes.get_ylim()))
    for axis in (*labels, classes):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(args.picture, dpi=120)


if __name__ == '__main__':
    main()
