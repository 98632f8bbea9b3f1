"""``lrformer flops``."""

import argparse

from .parser import CONFIG_OR_NAME, Parser, add_cfg_options

USAGE = 'MODEL [--shape H W] [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = (
        'Without data, weights or a GPU. One multiply-add counts as one, as in papers:\n'
        'of convolutions, matrix products, attention, and the samples of deformable\n'
        'attention. Norms, activations, pooling and resizing do not.'
    )
    add('config', metavar='MODEL', help=CONFIG_OR_NAME)
    add('--shape', type=int, nargs='+', default=[512, 512], metavar='SIDE', help='height and width, or one side [512]')
    add('--depth', type=int, default=2, metavar='N', help='levels of modules in the table [2]')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    import torch
    from rich.console import Console

    from mmseg.analysis.flops import count, table
    from mmseg.engine.launch import load_config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    shape = tuple(args.shape * 2 if len(args.shape) == 1 else args.shape)
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f'--shape takes one or two numbers, not {args.shape}')
    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    with torch.device('meta'):  # shapes only
        model = MODELS.build(cfg.model).eval()
    macs = count(model, shape)
    console = Console(width=100)
    console.print(table(model, macs, args.depth))
    parameters = sum(p.numel() for p in model.parameters())
    console.print(f'{args.config} at {shape[0]}x{shape[1]}: {macs[""] / 1e9:.1f} GMACs, {parameters:,} parameters')
