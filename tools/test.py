"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [options]."""

import argparse

from mmengine.config import DictAction
from own_package import require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import leave_process_group, load_config, test  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where the log goes [work_dirs/NAME_OF_THE_CONFIG]')
    parser.add_argument('--out', metavar='DIR', help='save the predicted label maps here, as PNG')
    parser.add_argument('--show', action='store_true', help='open a window with each prediction')
    parser.add_argument('--show-dir', metavar='DIR', help='save pictures of annotations and predictions here')
    parser.add_argument(
        '--wait-time', type=float, default=2.0, metavar='SECONDS', help='how long each window stays open'
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=['auto', 'bfloat16', 'float16'],
        help='mixed precision; auto is bfloat16 where the device computes in it, else float16',
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
    test(cfg, args.checkpoint, args.launcher, args.amp, args.out, args.show, args.show_dir, args.wait_time)
    leave_process_group()


if __name__ == '__main__':
    main()
