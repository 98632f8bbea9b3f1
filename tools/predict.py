"""Segment images, folders, videos, streams: python tools/predict.py MODEL INPUT... --out DIR [options]."""

import argparse
import os
import sys

from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.apis.predict_command import INTERRUPTED, add_predict_arguments, run_predict  # noqa: E402
from mmseg.engine.launch import run_program  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_predict_arguments(parser)
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)  # old launchers pass it
    code = run_predict(parser.parse_args())
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)  # threads that wait for a camera would hold it up
    if code:
        raise SystemExit(code)


if __name__ == '__main__':
    run_program(main)
