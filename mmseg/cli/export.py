"""``lrformer export``."""

import argparse
import sys
from pathlib import Path

from mmseg.utils.mistakes import FAILED

from .parser import Parser, add_cfg_options, add_weights

USAGE = 'MODEL --to TARGET --out FILE [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = 'Batch, height and width may be any in the file, unless they are fixed here.'
    add('model', metavar='MODEL', help='config file, or a name (`lrformer models`)')
    add('--to', metavar='TARGET', required=True, help='onnx')
    add('--out', metavar='FILE', required=True, help='the file to write')
    add('--checkpoint', metavar='FILE', help='weights [the published ones of a name]')
    add_weights(parser)
    add('--size', type=int, nargs=2, metavar='SIDE', help='fix height and width')
    add('--batch', type=int, metavar='N', help='fix the number of images')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from mmseg.apis.inference import init_model, require_weights
    from mmseg.export import export, parity
    from mmseg.export.running import open_file

    require_weights(args.model, args.checkpoint)
    model = init_model(args.model, args.checkpoint, 'cpu', args.cfg_options, args.weights)
    sizes = [tuple(args.size)] if args.size else parity.SIZES
    batches = [args.batch] if args.batch else parity.BATCHES
    cells = [(batch, *size) for size in sizes for batch in batches]
    metadata = export(model, args.out, args.to, batch=args.batch, size=args.size and tuple(args.size))
    runtime, run_file = open_file(Path(args.out), args.to)
    comparisons = parity.compare(model, run_file, cells, parity.drawn_pictures())
    parity.write_report(Path(f'{args.out}.parity.json'), comparisons, runtime, metadata)
    Console(width=100).print(parity.table(comparisons, runtime))
    if all(comparison.passed for comparison in comparisons):
        return 0
    print(f'{args.out} does not compute what the model does', file=sys.stderr)
    return FAILED
