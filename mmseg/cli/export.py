"""``lrformer export``."""

import argparse
import copy
import shutil
import sys
import tempfile
from pathlib import Path

from mmseg.utils.mistakes import FAILED

from .parser import CONFIG_OR_NAME, Parser, add_cfg_options, add_weights

USAGE = 'MODEL --to TARGET --out FILE [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = (
        'TARGET: onnx, openvino, torch, aotinductor, tensorrt, executorch, coreml\n'
        'Batch and size may be any in the file, unless they are fixed here. At the end\n'
        'it is compared with the model; the report lies beside it, as FILE.parity.json.'
    )
    add('model', metavar='MODEL', help=CONFIG_OR_NAME)
    add('--to', metavar='TARGET', required=True, help='what the file is for, see below')
    add('--out', metavar='FILE', required=True, help='the file to write')
    add('--checkpoint', metavar='FILE', help='weights [the published ones of a name]')
    add_weights(parser)
    add('--output', default='scores', metavar='KIND', help='scores, or the whole way: labels, top1 [scores]')
    add('--size', type=int, nargs=2, metavar='SIDE', help='fix height and width')
    add('--batch', type=int, metavar='N', help='fix the number of images')
    add('--precision', default='fp32', metavar='KIND', help='of the weights: fp32, fp16, bf16 [fp32]')
    add('--int8', action='store_true', help='layers compute in bytes (onnx, openvino)')
    add('--calibration', type=int, default=100, metavar='N', help='training images that int8 looks at [100]')
    add('--opset', type=int, metavar='N', help='of ONNX [20, for tensorrt 18]')
    add('--images', metavar='DIR', help='to compare on [drawn scenes]')
    add('--compare', type=int, nargs='+', metavar='SIDE', help='heights and widths to compare at [five sizes]')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from mmseg.apis.inference import init_model, require_weights
    from mmseg.export import Export, parity
    from mmseg.runtimes.targets import RUNTIMES, open_file

    if args.int8 and (args.to not in ('onnx', 'openvino') or args.output != 'scores' or args.precision != 'fp32'):
        raise ValueError('--int8 is for --to onnx or openvino, with --output scores and --precision fp32')
    require_weights(args.model, args.checkpoint)
    cells = parity.cells_of(args.batch, args.size, args.compare)
    pictures = parity.pictures_of(args.images) if args.images else parity.drawn_pictures()
    model = init_model(args.model, args.checkpoint, 'cpu', args.cfg_options, args.weights)
    calibration = _calibration_images(model, args) if args.int8 else None
    work = Export(model, args.output, args.batch, args.size and tuple(args.size), args.precision)
    metadata = work.write(args.out, args.to, args.opset)
    if args.to not in RUNTIMES:
        print(f'{args.out} is not compared with the model: that takes a device of its own')
        return 0
    runtime, run_file = open_file(Path(args.out), args.to)
    comparisons = parity.compare(work, run_file, cells, pictures)
    parity.write_report(Path(f'{args.out}.parity.json'), comparisons, runtime, metadata)
    Console(width=100).print(parity.table(comparisons, runtime))
    if not all(comparison.passed for comparison in comparisons):
        print(f'{args.out} does not compute what the model does', file=sys.stderr)
        return FAILED
    if calibration is not None:
        _to_int8(args, work, model.cfg, calibration)
    return 0


def _calibration_images(model, args: argparse.Namespace) -> list:
    from mmseg.export.int8 import calibration_images
    from mmseg.export.packages import need

    need('onnxruntime')
    return calibration_images(model, model.cfg, args.calibration)


def _to_int8(args: argparse.Namespace, work, cfg, images: list) -> None:
    """Make the file an int8 one, and score both on the config's test split."""
    from mmseg.export.int8 import int8_to_openvino, quantise, write_report

    path = Path(args.out)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.float32-') as folder:
        exact = Path(folder, 'float32.onnx')
        if args.to == 'onnx':
            shutil.copy(path, exact)
            result = quantise(exact, path, images)
        else:
            work.write(exact, 'onnx', args.opset)
            result = quantise(exact, exact.with_name('int8.onnx'), images)
            int8_to_openvino(exact.with_name('int8.onnx'), path)
        scores = [_score(cfg, file, folder) for file in (exact, path)]
    write_report(Path(f'{args.out}.int8.json'), result, *scores)
    kept = f'{len(result.kept)} of {result.layers} layers stayed in float32'
    print(f'{args.out}: {kept}; mIoU {scores[0]["mIoU"]:.2f} in float32, {scores[1]["mIoU"]:.2f} in int8')


def _score(cfg, file: Path, work_dir: str) -> dict:
    """The metrics of a file on the config's test split."""
    from mmseg.engine.launch import test
    from mmseg.runtimes.segmentor import use_exported

    cfg = copy.deepcopy(cfg)
    cfg.work_dir = work_dir
    use_exported(cfg, file, None)
    return test(cfg, None)
