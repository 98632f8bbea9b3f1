"""``lrformer predict``."""

import argparse
import sys

from mmseg.utils.mistakes import INTERRUPTED, message

from .parser import Parser, add_amp, add_backend, add_cfg_options, add_launcher, add_weights, process_count

USAGE = 'MODEL INPUT ... --out DIR [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = 'INPUT: images, folders, patterns, list.txt, - (stdin), videos, 0 (camera), URLs'
    add('model', metavar='MODEL', help='config file, name, or exported file')
    add('inputs', metavar='INPUT', nargs='+', help='what to segment, see below')
    add('--out', metavar='DIR', required=True, help='folder for the results')
    add('--checkpoint', metavar='FILE', help='weights [the published ones of a name]')
    add_weights(parser)
    add_backend(parser)
    add(
        '--save',
        metavar='KIND',
        nargs='+',
        help='overlay labels csv [these] scores geojson labelme geotiff coco coco-polygons',
    )
    add('--batch', metavar='N', type=int, default=1, help='images of one size that share a batch [1]')
    add('--classes', metavar='A,B', type=_names, help='the only classes that are wanted')
    add('--threshold', metavar='P', type=float, help="pixels of lower probability become 'unsure'")
    add('--opacity', metavar='P', type=float, default=0.5, help='of the colours in overlays [0.5]')
    add('--resume', action='store_true', help='leave out what is done')
    add('--gpus', metavar='N', type=process_count, help='that share the images; on a CPU, processes [1]')
    add('--device', metavar='NAME', help='e.g. cpu, cuda:1 [the GPU where there is one]')
    add_amp(parser)
    add('--half', action='store_true', help='weights of half precision')
    add('--fuse', action='store_true', help='fold batch norms and layer scales')
    add('--compile', action='store_true', help='torch.compile')
    add('--cuda-graphs', action='store_true', help='replay what a GPU did for images of one size')
    add('--tta', action='store_true', help='test-time augmentation: six sizes, and mirrored')
    add('--tile', metavar='N', type=tile_option, default='auto', help='cut images in squares of N [those > 4 GiB]')
    add('--overlap', metavar='N', type=int, help='pixels that two tiles share [a quarter]')
    add('--workers', metavar='N', type=int, help='threads that load, and that write [up to 4]')
    add_cfg_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg.engine.launch import run_program

    from .processes import start_processes

    start_processes(args.command_line, args.gpus, args.launcher)
    return run_program(lambda: _predict(args))


def _predict(args: argparse.Namespace) -> int:
    from mmseg.apis.predict import SAVE, Prediction

    prediction = Prediction(
        args.model,
        args.inputs,
        args.out,
        checkpoint=args.checkpoint,
        weights=args.weights,
        backend=args.backend,
        save=args.save or SAVE,
        batch_size=args.batch,
        classes=args.classes,
        threshold=args.threshold,
        opacity=args.opacity,
        resume=args.resume,
        device=args.device,
        amp=args.amp,
        half=args.half,
        fuse=args.fuse,
        compile=args.compile,
        cuda_graphs=args.cuda_graphs,
        tta=args.tta,
        tile=args.tile,
        overlap=args.overlap,
        workers=args.workers,
        cfg_options=args.cfg_options,
        launcher=args.launcher,
    )
    try:
        summary = prediction.run()
    except OSError as error:
        raise OSError(f'{message(error)}; what is written is whole: go on with --resume') from error
    except KeyboardInterrupt:
        print('interrupted; what is written is whole: go on with --resume', file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    if prediction.rank == 0:
        before = f', {summary.skipped} were done before' if summary.skipped else ''
        failed = f', {summary.failed} failed' if summary.failed else ''
        rate = summary.done / max(summary.seconds, 1e-9)
        print(f'{summary.done} images in {summary.seconds:.1f} s ({rate:.1f} a second){before}{failed}: {args.out}')
    return int(summary.failed > 0)


def tile_option(text: str) -> int | str:
    return text if text == 'auto' else int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',') if name.strip()]
