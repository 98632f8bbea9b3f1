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
from pathlib import Path

import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.analysis.benchmark import checkout_of, take_turns  # noqa: E402
from mmseg.analysis.benchmark_runtimes import table, ways, write_files  # noqa: E402


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
    torch.manual_seed(0)
    results = {}
    with checkout_of(args.against) as checkout:
        for variant in args.variants:
            files = write_files(variant, args.files)
            compared = ways(variant, args.shape, files, args.threads, (args.against, checkout), args.compile)
            results[variant] = take_turns(compared, args.rounds, args.warm_up)
            title = f'{variant} at {args.shape[0]}x{args.shape[1]}, {args.threads} threads'
            Console(width=120).print(table(results[variant], title))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    main()
