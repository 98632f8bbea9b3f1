"""The command line of predict: its options, and what it says at the end."""

import argparse
import sys

from mmseg.inference.folder import KINDS

from .predict import SAVE, Prediction

USAGE = 2  # exit code of a wrong call; 1 means that some inputs failed
INTERRUPTED = 130


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """All options, for ``tools/predict.py`` and ``lrformer predict`` alike."""
    add = parser.add_argument
    add('model', metavar='MODEL', help='config file, or the name of a published model')
    add(
        'inputs',
        metavar='INPUT',
        nargs='+',
        help='image, folder, pattern, list file (.txt), - for names on stdin, '
        'video, number of a camera, address of a stream',
    )
    add('--out', metavar='DIR', required=True, help='folder for the results')
    add('--checkpoint', metavar='FILE', help='weights')
    add(
        '--save',
        metavar='KIND',
        nargs='+',
        choices=KINDS,
        default=list(SAVE),
        help=f'what to write, of {", ".join(KINDS)} [{" ".join(SAVE)}]',
    )
    add('--batch', metavar='N', type=int, default=1, help='images of one size that go through the network at once [1]')
    add('--classes', metavar='A,B', type=_names, help='the only classes that are wanted')
    add('--threshold', metavar='P', type=float, help="pixels of lower probability become 'unsure'")
    add('--opacity', metavar='P', type=float, default=0.5, help='of the colours in overlays [0.5]')
    add('--resume', action='store_true', help='leave out what is done')
    add('--device', metavar='NAME', help='e.g. cpu, cuda:1 [the GPU where there is one]')
    add('--amp', nargs='?', const='auto', choices=['auto', 'bfloat16', 'float16'], help='mixed precision')
    add('--half', action='store_true', help='weights of half precision')
    add('--fuse', action='store_true', help='fold batch norms into convolutions')
    add('--compile', action='store_true', help='torch.compile')
    add('--tta', action='store_true', help='test-time augmentation: six sizes, flipped and unflipped')
    add(
        '--tile',
        metavar='N',
        type=tile_option,
        default='auto',
        help='cut images into squares of N pixels [those of > 4 GiB]',
    )
    add('--overlap', metavar='N', type=int, help='pixels that two tiles share [a quarter]')
    add('--workers', metavar='N', type=int, help='threads that load, and as many that write [up to 4]')
    add('--cfg-options', metavar='KEY=VALUE', nargs='+', action='extend', default=[], help='values of the config')
    add('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='what started the processes')


def run_predict(args: argparse.Namespace) -> int:
    """Do what the options say; the exit code: 0, 1 where some inputs failed, 2 for a wrong call."""
    try:
        prediction = Prediction(
            args.model,
            args.inputs,
            args.out,
            checkpoint=args.checkpoint,
            save=args.save,
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
            tta=args.tta,
            tile=args.tile,
            overlap=args.overlap,
            workers=args.workers,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        print(f'error: {_words(error)}', file=sys.stderr)
        return USAGE
    try:
        summary = prediction.run()
    except OSError as error:
        print(f'error: {_words(error)}; what is written is whole: go on with --resume', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; what is written is whole: go on with --resume', file=sys.stderr)
        return INTERRUPTED
    if prediction.rank == 0:
        before = f', {summary.skipped} were done before' if summary.skipped else ''
        failed = f', {summary.failed} failed' if summary.failed else ''
        rate = summary.done / max(summary.seconds, 1e-9)
        print(f'{summary.done} images in {summary.seconds:.1f} s ({rate:.1f} a second){before}{failed}: {args.out}')
    return int(summary.failed > 0)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',') if name.strip()]


def tile_option(text: str) -> int | str:
    return text if text == 'auto' else int(text)


def _words(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
