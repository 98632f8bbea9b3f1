"""``lrformer train``."""

import argparse

from .parser import CONFIG_OR_NAME, Parser, add_run_options, process_count

USAGE = 'CONFIG [GPUS] [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add('config', metavar='CONFIG', help=CONFIG_OR_NAME)
    add('gpus', metavar='GPUS', nargs='?', type=process_count, help='how many of this node; on a CPU, processes [1]')
    add('--resume', nargs='?', const='auto', default=False, metavar='FILE', help='go on, from FILE or the newest')
    add('--batch-per-gpu', type=int, metavar='N', help='images at a time, if memory is short')
    add('--deterministic', action='store_true', help='the same bits in every run on CUDA as well; slower')
    add_run_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg.engine.launch import load_config, run_program, train

    from .processes import start_processes

    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    start_processes(args.command_line, args.gpus, args.launcher)

    def work() -> None:
        train(cfg, args.launcher, args.resume, args.amp, args.batch_per_gpu, args.deterministic)

    return run_program(work)
