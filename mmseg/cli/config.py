"""``lrformer config``."""

import argparse
from pathlib import Path

from .parser import CONFIG_OR_NAME, Parser, add_cfg_options

USAGE = 'CONFIG [options]'


def add_arguments(parser: Parser) -> None:
    parser.epilog = 'It is a config itself: lrformer config NAME > mine.py; lrformer train mine.py'
    parser.add_argument('config', metavar='CONFIG', help=CONFIG_OR_NAME)
    parser.add_argument('--origins', action='store_true', help='print each value with the file that states it')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    from mmseg.engine.config.origins import default_work_dir, lines
    from mmseg.engine.launch import load_config

    cfg = load_config(args.config, args.cfg_options)
    if args.origins:
        print(*lines(cfg), sep='\n')
        return
    file = Path(cfg.filename).absolute()
    if cfg.work_dir == default_work_dir(file):
        del cfg._cfg_dict['work_dir']  # another's is another's
    print(f'# {file} with all that it inherits. A file of your own that changes some of it begins with')
    print(f'# _base_ = {str(file)!r}')
    print(cfg.pretty_text, end='')
