"""``lrformer new``: nothing in the data's own folder is changed."""

import argparse
import re
from pathlib import Path

from .parser import Parser

USAGE = 'DATA [--out CONFIG.py] [options]'
START = 'lrformer-t-160k_ade20k'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = 'Then: lrformer train CONFIG.py. docs/any_data.md says what is understood.'
    add('data', metavar='DATA', help='a folder, or a .zip file')
    add('--out', metavar='CONFIG.py', help='the config to write [NAME_OF_DATA.py, here]')
    add('--format', metavar='NAME', help='coco, labelme, yolo, masks, ... [found out]')
    add('--labels', metavar='TEXT', help="part of the label maps' paths, if in doubt")
    add('--classes', metavar='NAMES', help='a,b,c or a file, or a type (CamVidDataset)')
    add('--ignore-rest', action='store_true', help='what no shape covers is ignored')
    add('--start', metavar='MODEL', help='published weights, or none [T, if a GPU]')
    letters = ('n', 't', 's', 'b', 'l', 'xl')
    add('--variant', choices=letters, metavar='LETTER', help='of LRFormer [t; n without a GPU]')
    add('--iters', type=int, metavar='N', help='iterations of the training [by the number of images]')
    add('--size', type=int, metavar='N', help="the images' shorter side, as trained [by their size]")
    add('--nproc', type=int, metavar='N', help='processes [all CPUs]')
    add('--overwrite', action='store_true', help='replace a config that is there')


def run(args: argparse.Namespace) -> None:
    import torch

    from mmseg.datasets.discovery import discover
    from mmseg.datasets.formats import FORMATS
    from mmseg.utils.parallel import available_cpus

    if args.format not in (None, *FORMATS):
        raise ValueError(f'--format {args.format!r} is none of {", ".join(FORMATS)}')
    for option in ('iters', 'size', 'nproc'):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            raise ValueError(f'--{option} must be 1 or more, not {getattr(args, option)}')
    gpu = torch.cuda.is_available()
    start = START if args.start is None and gpu and args.variant in (None, 't') else args.start
    name = re.sub(r'\W+', '_', Path(args.data).absolute().name.removesuffix('.zip')).strip('_') or 'data'
    found = discover(
        args.data,
        args.out or f'{name}.py',
        args.nproc or available_cpus(),
        args.format,
        args.labels,
        args.classes,
        args.ignore_rest,
        gpu,
        None if start == 'none' else start,
        args.variant,
        args.iters,
        args.size,
        args.overwrite,
    )
    print(f'{args.data}: {found.kind}')
    for line in found.lines():
        print(f'  {line}')
    for count, text, examples, left_out in found.notes:
        shown = ', '.join(examples) + ', ...' * (count > len(examples))
        print(f'  {"left out" if left_out else "note"}: {count} {text}: {shown}')
    steps = found.plan
    print(f'  LRFormer-{steps.variant.upper()}, {steps.iterations} iterations of {steps.batch} crops of '
          f'{steps.crop[0]}x{steps.crop[1]}, from {steps.start or "random weights"}')  # fmt: skip
    print(f'see {found.preview}\nlrformer train {found.config}')
