"""``lrformer test``."""

import argparse
import os

from .parser import Parser, add_backend, add_run_options, process_count

USAGE = 'MODEL [CHECKPOINT] [GPUS] [options]'
EXPORTED = 'lrformer test model.onnx --config CONFIG'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add('config', metavar='MODEL', help='config file, name (`lrformer models`), or exported file')
    add('checkpoint', metavar='CHECKPOINT', nargs='?', help='file or URL [the published weights of a name]')
    add('gpus', metavar='GPUS', nargs='?', type=process_count, help='how many of this node; on a CPU, processes [1]')
    add('--config', dest='data_config', metavar='CONFIG', help='the data for an exported file')
    add_backend(parser)
    add('--out', metavar='DIR', help='save the predicted label maps here, as PNG')
    add('--show', action='store_true', help='open a window with each prediction')
    add('--show-dir', metavar='DIR', help='save pictures of annotations and predictions here')
    add('--tta', action='store_true', help='test-time augmentation: six sizes, flipped and unflipped')
    add('--wait-time', type=float, default=2.0, metavar='SECONDS', help='how long each window stays open [2]')
    add_run_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg.engine.launch import checkpoint_of, load_config, run_program, test
    from mmseg.runtimes import is_exported

    from .processes import start_processes

    if args.gpus is None and (args.checkpoint or '').isdecimal() and not os.path.exists(args.checkpoint):
        args.gpus, args.checkpoint = process_count(args.checkpoint), None  # NAME GPUS
    if is_exported(args.config):
        if args.checkpoint is not None or args.data_config is None:
            raise ValueError(f'{args.config} holds its weights, and --config says what to test it on: {EXPORTED}')
        args.config, args.checkpoint = args.data_config, args.config
    elif args.data_config is not None:
        raise ValueError(f'--config says what to test an exported file on, and {args.config} is none: {EXPORTED}')
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    checkpoint = checkpoint_of(args.config, args.checkpoint)
    if is_exported(checkpoint):
        from mmseg.runtimes.segmentor import use_exported

        if args.amp is not None:
            raise ValueError(f'--amp is for networks that run in PyTorch; {checkpoint} is as it was exported')
        use_exported(cfg, checkpoint, args.backend)
        checkpoint = None
    elif args.backend is not None:
        raise ValueError(f'--backend is for exported files, and {checkpoint} is none')
    start_processes(args.command_line, args.gpus, args.launcher)

    def work() -> None:
        drawing = dict(show=args.show, show_dir=args.show_dir, wait_time=args.wait_time)
        test(cfg, checkpoint, args.launcher, args.amp, args.out, **drawing, tta=args.tta)

    return run_program(work)
