"""``lrformer check``: nothing is written; warnings alone are no errors."""

import argparse
import contextlib
import json
import sys

from .parser import CONFIG_OR_NAME, Parser, add_cfg_options

USAGE = 'CONFIG [options]'
SPLITS = ('train', 'val', 'test')


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = 'Exit code: 0, or 1 where there are errors; warnings alone are no errors.'
    add('config', metavar='CONFIG', help=CONFIG_OR_NAME)
    add('--splits', nargs='+', choices=SPLITS, default=list(SPLITS), metavar='SPLIT', help='of train, val, test [all]')
    add('--nproc', type=_positive, metavar='N', help='processes [all CPUs]')
    add('--json', action='store_true', help='print the result as JSON, and progress on stderr')
    add_cfg_options(parser)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be 1 or more, not {text}')
    return int(text)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from mmseg.datasets.checks import check_datasets
    from mmseg.engine.config.data_root import hand_down_data_root
    from mmseg.engine.launch import load_config
    from mmseg.utils import register_all_modules
    from mmseg.utils.parallel import available_cpus

    cfg = load_config(args.config, args.cfg_options)
    register_all_modules()
    loaders = {split: cfg.get(f'{split}_dataloader') for split in args.splits}
    root = cfg.get('data_root')
    datasets = {split: hand_down_data_root(loader['dataset'], root) for split, loader in loaders.items() if loader}
    if not datasets:
        raise ValueError(f'{args.config} has no dataset for {", ".join(args.splits)}')
    heads = cfg.get('model', {}).get('decode_head', {})
    num_classes = (heads[-1] if isinstance(heads, list) else heads).get('num_classes')
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        report = check_datasets(datasets, args.nproc or available_cpus(), num_classes)
    if args.json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        report.show(Console() if sys.stdout.isatty() else Console(width=120))
    return 0 if report.ok else 1
