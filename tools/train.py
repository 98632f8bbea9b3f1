"""Train a model: python tools/train.py CONFIG [options]."""

import argparse

from command_line import add_common_options, require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import load_config, run_program, train  # noqa: E402


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
    parser.add_argument(
        '--deterministic', action='store_true', help='the same bits in every run on CUDA as well; slower'
    )
    add_common_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    train(cfg, args.launcher, args.resume, args.amp, args.batch_per_gpu, args.deterministic)


if __name__ == '__main__':
    run_program(main)
