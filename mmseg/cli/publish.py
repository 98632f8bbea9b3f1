"""``lrformer publish``."""

import argparse
from pathlib import Path

from .parser import Parser, add_weights

USAGE = 'IN OUT [options]'


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    parser.epilog = (
        'What stays: weights, classes, palette, config text without local paths, metric.\nThe first digits of the '
        'SHA-256 go into the name: lrformer-t.safetensors becomes\nlrformer-t-0123abcd.safetensors.'
    )
    add('source', metavar='IN', help='checkpoint: a file or a URL')
    add('target', metavar='OUT', type=Path, help='file to write, .pth or .safetensors')
    add_weights(parser)
    add('--metric', type=_metric, nargs='+', default=[], metavar='NAME=VALUE', help='state these, not its own')


def _metric(text: str) -> tuple[str, float]:
    name, _, value = text.partition('=')
    try:
        return name, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form mIoU=52.6') from error


def run(args: argparse.Namespace) -> None:
    from mmseg.checkpoints import load_checkpoint_file
    from mmseg.checkpoints.publishing import publish

    path = publish(args.source, args.target, args.weights, dict(args.metric))
    published = load_checkpoint_file(path)
    meta = published['meta']
    print(f'{path}: {len(published["state_dict"])} entries, {path.stat().st_size / 1e6:.1f} MB')
    classes = (meta.get('dataset_meta') or {}).get('classes')
    print(f'classes: {len(classes) if classes else "none stated in the checkpoint"}')
    print(f'metric: {meta.get("metric") or "none; state it with --metric NAME=VALUE"}')
    print(f'config: {"yes" if "cfg" in meta else "none in the checkpoint"}')
