"""What models cost, in one table: parameters, multiply-adds, seconds and peak memory of network and training step.

    python tools/analysis_tools/compare_models.py --threads 2

Each work is that of benchmark.py (forward of one image, a training step on two) in a process of its own, with random
weights; the times are medians. Nothing else should run.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import ROOT, require_own_mmseg

require_own_mmseg()

from mmseg.analysis.benchmark import Way, summary, take_turns, work_options  # noqa: E402
from mmseg.analysis.flops import count  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402

ADE20K = (
    *('lrformer-t-160k_ade20k', 'lrformer-s-160k_ade20k', 'lrformer-t-plus-160k_ade20k-512x512'),
    *(f'segformer-b{i}-160k_ade20k-512x512' for i in (0, 1, 2)),
    *('upernet-r50-80k_ade20k-512x512', 'upernet-swin-t-160k_ade20k-512x512'),
    *('segnext-t-160k_ade20k-512x512', 'ocrnet-hr18-80k_ade20k-512x512'),
)
HEADINGS = ('config', 'parameters', 'GMACs', 'forward, s', 'peak, MiB', 'training step, s', 'peak, MiB')


def size(config: str, shape: tuple[int, int]) -> tuple[float, float]:
    """Parameters in millions, and multiply-adds in billions."""
    with torch.device('meta'):
        model = MODELS.build(load_config(config).model).eval()
    return sum(p.numel() for p in model.parameters()) / 1e6, count(model, shape)[''] / 1e9


def cost(work: str, config: str, args: argparse.Namespace) -> dict:
    way = Way(ROOT, work, work_options(args.threads, config=config))
    return summary(take_turns({'ours': way}, args.rounds, warm_up=1))['ours']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=ADE20K, help='names or files [ten on ADE20K]')
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 512), metavar=('H', 'W'), help='[512 512]')
    parser.add_argument('--rounds', type=int, default=3, help='turns that count, after one that does not [3]')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='[all cores]')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()

    register_all_modules()
    rows, (height, width) = {}, args.shape
    for config in args.configs:
        parameters, macs = size(config, (height, width))
        forward, train = (cost(f'{kind}-{height}x{width}', config, args) for kind in ('forward', 'train'))
        rows[Path(config).stem] = dict(parameters=parameters, gmacs=macs, forward=forward, train=train)
        print(config, json.dumps(rows[Path(config).stem]), file=sys.stderr, flush=True)
    table = Table(box=MARKDOWN, title=f'{height}x{width}, {args.threads} threads, medians of {args.rounds}')
    for heading in HEADINGS:
        table.add_column(heading, justify='left' if heading == 'config' else 'right')
    for name, row in rows.items():
        cells = [name, f'{row["parameters"]:.1f} M', f'{row["gmacs"]:.1f}']
        for work in (row['forward'], row['train']):
            cells += [f'{work["seconds"]:.2f}', 'unknown' if work['peak_mib'] is None else f'{work["peak_mib"]:.0f}']
        table.add_row(*cells)
    Console(width=130).print(table)
    if args.json:
        Path(args.json).write_text(json.dumps(dict(threads=args.threads, shape=args.shape, models=rows), indent=2))


if __name__ == '__main__':
    main()
