"""Train a model: python tools/train.py CONFIG [options]."""

import argparse

from command_line import add_common_options, require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import leave_process_group, load_config, train  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        default=False,
        metavar='FILE',
        help="go on from a checkpoint, or without a file from the work dir's newest",
    )
    parser.add_argument(
        '--batch-per-gpu',
        type=int,
        metavar='N',
        help='images that one process takes at a time, if memory is short',
    )
    add_common_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    train(cfg, args.launcher, args.resume, args.amp, args.batch_per_gpu)
    leave_process_group()


if __name__ == '__main__':
    main()
