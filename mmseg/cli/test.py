"""``lrformer test``."""

import argparse
import os
import shlex

from .parser import Parser, add_backend, add_run_options, process_count

USAGE = 'MODEL [CHECKPOINT] [GPUS] [options]'
EXPORTED = 'lrformer test model.onnx --config CONFIG'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add('config', metavar='MODEL', nargs='?', help='config file, name, or exported file')
    add('checkpoint', metavar='CHECKPOINT', nargs='?', help='file or URL [the published weights of a name]')
    add('gpus', metavar='GPUS', nargs='?', type=process_count, help='how many of this node; on a CPU, processes [1]')
    add('--config', dest='data_config', metavar='CONFIG', help='the data for an exported file')
    add_backend(parser)
    add('--out', metavar='DIR', help='save the predicted label maps here, as PNG')
    add('--show', action='store_true', help='open a window with each prediction')
    add('--show-dir', metavar='DIR', help='save annotations and predictions as pictures')
    add('--report', metavar='DIR', help='write a page of figures, errors, pictures here')
    add('--compare', metavar='DIR', nargs='+', help='compare reports in --report DIR; tests nothing')
    add('--report-scores', action='store_true', help='let it say how sure the model is (takes memory)')
    add('--report-images', type=int, default=120, metavar='N', help='images with pictures in it [120]')
    add('--tta', action='store_true', help='test-time augmentation: six sizes, two flips')
    add('--wait-time', type=float, default=2.0, metavar='SECONDS', help='how long each window stays open [2]')
    add_run_options(parser)


def run(args: argparse.Namespace) -> int:
    if args.compare:
        return _compare(args)
    if args.config is None:
        raise ValueError('what to test is missing: give a config file, or a name that `lrformer models` lists')
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
        weights = None
    elif args.backend is not None:
        raise ValueError(f'--backend is for exported files, and {checkpoint} is none')
    else:
        weights = checkpoint
    start_processes(args.command_line, args.gpus, args.launcher)

    def work() -> None:
        test(
            cfg,
            weights,
            args.launcher,
            args.amp,
            args.out,
            args.show,
            args.show_dir,
            args.wait_time,
            args.tta,
            args.report,
            args.report_scores,
            args.report_images,
            shlex.join(['lrformer', *args.command_line]).removesuffix(' --launcher pytorch'),
        )

    return run_program(work)


def _compare(args: argparse.Namespace) -> int:
    from mmseg.report import write_comparison

    if args.config is not None or args.report is None:
        raise ValueError('--compare tests nothing: lrformer test --compare REPORT REPORT ... --report DIR')
    print(write_comparison(args.compare, args.report))
    return 0
