"""``lrformer models``."""

import argparse
import json

from .parser import Parser

USAGE = '[WORD ...] [--json]'


def add_arguments(parser: Parser) -> None:
    parser.epilog = 'A name brings config and weights:\nlrformer predict lrformer-t-160k_ade20k photos/ --out DIR'
    parser.add_argument('words', metavar='WORD', nargs='*', help='list only what has all of them: ade20k, plus, city')
    parser.add_argument('--json', action='store_true', help='for programs')


def run(args: argparse.Namespace) -> int:
    import sys

    from rich.console import Console
    from rich.table import Table

    from mmseg.zoo import config_names, models

    wanted = [word.lower() for word in args.words]
    listed = [m for m in models().values() if all(word in f'{m.name} {m.dataset}'.lower() for word in wanted)]
    others = [n for n in config_names() if n not in models() and all(word in n for word in wanted)]
    if args.json:
        print(json.dumps(dict(models=[m._asdict() for m in listed], configs=others), indent=1))
        return 0
    if not listed and not others:
        raise ValueError(f'no name has {" and ".join(wanted)} in it; without words, all are listed')
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if listed:
        table = Table(box=None, pad_edge=False)
        table.add_column('name', no_wrap=True)
        for heading in ('parameters', 'mIoU'):
            table.add_column(heading, justify='right', no_wrap=True)
        table.add_column('dataset')
        for model in listed:
            table.add_row(model.name, f'{model.parameters} M', f'{model.mIoU}', model.dataset)
        console.print(table)
    if others:
        console.print(f'Configs without published weights: {", ".join(others)}', highlight=False)
    return 0
