"""A network in PyTorch, eager and compiled, and its files in onnxruntime and OpenVINO, float32 and int8, in turns.

    python tools/analysis_tools/benchmark_runtimes.py t n s t+ --shape 512 512 --files DIR --against 926a3b3

Weights are random. Files that take any batch and size are written to DIR, or found there from an earlier call. Each
way runs in a process of its own, and they take turns; a ratio is the median of the rounds' ratios, and above 1 a way is
faster than the eager network of ``--against``.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mmseg.analysis.benchmark import Worker, checkout_of, ratio
from mmseg.analysis.benchmark_works import build
from mmseg.export import Export
from mmseg.export.int8 import quantise
from mmseg.export.parity import drawn_pictures
from mmseg.zoo.catalogue import HOME

PLAIN = dict(amp=None, backbone={}, batch=1, classes=150, compile=False, profile=False)
PLAIN |= dict(config=None, cfg_options=[], checkpoint=None, images=20)


def write_files(variant: str, folder: Path) -> dict[str, Path]:
    """The float32 file and the int8 file of a variant."""
    name = variant.replace('+', '-plus')
    files = dict(float32=folder / f'{name}.onnx', int8=folder / f'{name}-int8.onnx')
    folder.mkdir(parents=True, exist_ok=True)
    if not files['float32'].exists():
        model = build(variant, (512, 512), argparse.Namespace(**PLAIN))[0].eval()
        Export(model).write(files['float32'], 'onnx')
    if not files['int8'].exists():
        pictures = [picture[..., ::-1].transpose(2, 0, 1)[None] for picture in drawn_pictures(4)]
        images = [((picture - 116.0) / 57.0).astype(np.float32) for picture in pictures]
        quantise(files['float32'], files['int8'], images, equal=0)  # labels of random weights say nothing
    return files


def measure(variant: str, args: argparse.Namespace, baseline: Path) -> dict[str, list[dict]]:
    """The turns of each way."""
    size = 'x'.join(map(str, args.shape))
    files = write_files(variant, args.files)
    network, exported = f'forward-{variant}-{size}', f'exported-{variant}-{size}'
    ways = {
        f'eager, {args.against}': (baseline, network, {}),
        'eager': (HOME, network, {}),
        **({'compiled': (HOME, network, dict(compile=True))} if args.compile else {}),
        **{
            f'{backend}, {precision}': (HOME, exported, dict(checkpoint=str(file.absolute()), backend=backend))
            for precision, file in files.items()
            for backend in ('onnxruntime', 'openvino')
        },
    }
    with ExitStack() as stack:
        workers = {}
        for name, (checkout, work, options) in ways.items():
            settings = argparse.Namespace(**{**PLAIN, **options, 'threads': args.threads})
            workers[name] = Worker(checkout, work, settings)
            stack.callback(workers[name].end)
        turns = {name: [] for name in workers}
        for _ in range(args.warm_up + args.rounds):
            for name, worker in workers.items():
                turns[name].append(worker.turn())
    return {name: rows[args.warm_up :] for name, rows in turns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('variants', nargs='+', help='as n, t, s, t+')
    parser.add_argument('--files', type=Path, required=True, help='folder of exported files')
    parser.add_argument('--against', default='926a3b3', help='commit or checkout that all are compared with')
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 512))
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--warm-up', type=int, default=2)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--compile', action='store_true', help='torch.compile as well')
    parser.add_argument('--json', type=Path, help='write all turns there')
    args = parser.parse_args()
    results, console = {}, Console(width=120)
    with checkout_of(args.against) as baseline:
        for variant in args.variants:
            results[variant] = turns = measure(variant, args, baseline)
            first = next(iter(turns.values()))
            shown = Table(title=f'{variant} at {args.shape[0]}x{args.shape[1]}, {args.threads} threads')
            for heading in ('way', 'ms', 'images/s', 'times faster', 'CPU s', 'peak MiB'):
                shown.add_column(heading, justify='left' if heading == 'way' else 'right')
            for name, rows in turns.items():
                seconds, cpu, peak = (
                    float(np.median([row[key] or 0 for row in rows])) for key in ('seconds', 'cpu_seconds', 'peak_mib')
                )
                faster = ratio(first, rows, 'seconds')
                shown.add_row(
                    name, f'{1000 * seconds:.0f}', f'{1 / seconds:.1f}', f'{faster:.2f}', f'{cpu:.3f}', f'{peak:.0f}'
                )
            console.print(shown)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    torch.manual_seed(0)
    sys.exit(main())
