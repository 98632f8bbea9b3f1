"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [options]."""

import argparse

from command_line import add_common_options, require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import load_config, run_program, test  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='DIR', help='save the predicted label maps here, as PNG')
    parser.add_argument('--show', action='store_true', help='open a window with each prediction')
    parser.add_argument('--show-dir', metavar='DIR', help='save pictures of annotations and predictions here')
    parser.add_argument(
        '--wait-time', type=float, default=2.0, metavar='SECONDS', help='how long each window stays open [2]'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: six sizes, flipped and unflipped')
    add_common_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    test(cfg, args.checkpoint, args.launcher, args.amp, args.out, args.show, args.show_dir, args.wait_time, args.tta)


if __name__ == '__main__':
    run_program(main)
