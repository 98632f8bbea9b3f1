"""Train a model: python tools/train.py CONFIG [options]."""

import argparse

from mmengine.config import DictAction
from own_package import require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import leave_process_group, load_config, train  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where checkpoints, logs and pictures go [work_dirs/NAME_OF_THE_CONFIG]')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        default=False,
        metavar='FILE',
        help="go on from a checkpoint, or without a file from the work dir's newest",
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=['auto', 'bfloat16', 'float16'],
        help='mixed precision; auto is bfloat16 where the device computes in it, else float16',
    )
    parser.add_argument(
        '--batch-per-gpu',
        type=int,
        metavar='N',
        help='images that one process takes at a time, if memory is short',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values to change in the config',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='what started the processes'
    )
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)  # old launchers pass it
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    train(cfg, args.launcher, args.resume, args.amp, args.batch_per_gpu)
    leave_process_group()


if __name__ == '__main__':
    main()
