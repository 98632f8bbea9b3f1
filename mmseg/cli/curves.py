"""``lrformer curves``."""

import argparse

from .parser import Parser

USAGE = 'DIR ... [--out DIR]'


def add_arguments(parser: Parser) -> None:
    parser.epilog = 'A training writes the same into its own work dir as it goes on.'
    parser.add_argument('work_dirs', metavar='DIR', nargs='+', help='work dirs of trainings')
    parser.add_argument('--out', metavar='DIR', help="where to write [the run's own folder; of several, curves/]")


def run(args: argparse.Namespace) -> None:
    from mmseg.report import write_training_report

    out = args.out or (args.work_dirs[0] if len(args.work_dirs) == 1 else 'curves')
    print(write_training_report(args.work_dirs, out))
