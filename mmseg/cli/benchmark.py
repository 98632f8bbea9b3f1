"""``lrformer benchmark``."""

import argparse
import json
import os

from .parser import Parser, add_cfg_options

USAGE = '[WORK ...] [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add('works', nargs='*', metavar='WORK', help='KIND-VARIANT-HxW, as train-t+-512x512 [a list]')
    add('--against', metavar='DIR|COMMIT', help='another checkout, to compare with')
    add('--rounds', type=int, default=7, metavar='N', help='turns of each process that count [7]')
    add('--warm-up', type=int, default=2, metavar='N', help='turns before them [2]')
    add('--threads', type=int, default=os.cpu_count(), metavar='N', help='of each process [all cores]')
    add('--json', metavar='FILE', help='write the results there')
    add('--batch', type=int, metavar='N', help='images; [1], to train [2]')
    add('--classes', type=int, default=150, metavar='N', help='[150]')
    add('--amp', choices=('bfloat16', 'float16'), metavar='DTYPE', help='bfloat16 or float16 [float32]')
    add('--compile', action='store_true', help='with compile=True')
    add('--cuda-graphs', action='store_true', help='with cuda_graphs=True')
    add('--profile', action='store_true', help='print the ten operations that take most, too')
    add('--backbone', type=json.loads, default={}, metavar='JSON', help='keys of the backbone')
    add(
        '--config',
        metavar='CONFIG',
        help='its model: forward, predict, train; its test images: network, loop, unstreamed',
    )
    add('--checkpoint', metavar='FILE', help='weights [random ones]; of exported, its file')
    add('--images', type=int, default=20, metavar='N', help='of its test set, at the most [20]')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from rich.console import Console

    from mmseg.analysis import benchmark
    from mmseg.analysis.benchmark_works import parse_work
    from mmseg.zoo import config_file, is_name

    works = args.works or (benchmark.EVALUATION if args.config else benchmark.STANDARD)
    for work in works:
        parse_work(work)
    if args.config and is_name(args.config):
        args.config = config_file(args.config)
    results = benchmark.run(works, args)
    against = f' against {args.against}' if args.against else ''
    Console(width=150).print(benchmark.table(results, f'{args.rounds} rounds, {args.threads} threads{against}'))
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(dict(options=vars(args), works=results), file, indent=2)
