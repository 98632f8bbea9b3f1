"""``lrformer export``."""

import argparse
import sys
from pathlib import Path

from mmseg.utils.mistakes import FAILED

from .parser import Parser, add_cfg_options, add_weights

USAGE = 'MODEL --to TARGET --out FILE [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = (
        'TARGET: onnx, openvino, torch, tensorrt, executorch, coreml (docs/export.md)\n'
        'Batch and size may be any in the file, unless they are fixed here. It is compared\n'
        'with the model at the end; the report lies beside it, as FILE.parity.json.'
    )
    add('model', metavar='MODEL', help='config file, or a name (`lrformer models`)')
    add('--to', metavar='TARGET', required=True, help='what the file is for, see below')
    add('--out', metavar='FILE', required=True, help='the file to write')
    add('--checkpoint', metavar='FILE', help='weights [the published ones of a name]')
    add_weights(parser)
    add('--output', default='scores', metavar='KIND', help='scores of the network; labels, top1: the whole way')
    add('--size', type=int, nargs=2, metavar='SIDE', help='fix height and width')
    add('--batch', type=int, metavar='N', help='fix the number of images')
    add('--precision', default='fp32', metavar='KIND', help='of the weights: fp32, fp16, bf16 [fp32]')
    add('--opset', type=int, default=18, metavar='N', help='of ONNX [18]')
    add('--images', metavar='DIR', help='to compare on [drawn scenes]')
    add('--compare', type=int, nargs='+', metavar='SIDE', help='heights and widths to compare at [five sizes]')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from mmseg.apis.inference import init_model, require_weights
    from mmseg.export import Export, parity
    from mmseg.export.running import RUNTIMES, open_file

    require_weights(args.model, args.checkpoint)
    cells = parity.cells_of(args.batch, args.size, args.compare)
    pictures = parity.pictures_of(args.images) if args.images else parity.drawn_pictures()
    model = init_model(args.model, args.checkpoint, 'cpu', args.cfg_options, args.weights)
    work = Export(model, args.output, args.batch, args.size and tuple(args.size), args.precision)
    metadata = work.write(args.out, args.to, args.opset)
    if args.to not in RUNTIMES:
        print(f'{args.out} is not compared with the model: that takes a device of its own')
        return 0
    runtime, run_file = open_file(Path(args.out), args.to)
    comparisons = parity.compare(work, run_file, cells, pictures)
    parity.write_report(Path(f'{args.out}.parity.json'), comparisons, runtime, metadata)
    Console(width=100).print(parity.table(comparisons, runtime))
    if all(comparison.passed for comparison in comparisons):
        return 0
    print(f'{args.out} does not compute what the model does', file=sys.stderr)
    return FAILED
