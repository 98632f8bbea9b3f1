"""What train.py and test.py have in common: whose ``mmseg`` they run, and half of their options."""

import argparse
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def require_own_mmseg() -> None:
    """End the program, saying what to do, if ``mmseg`` is missing or is another project's: mmsegmentation's
    package has the same name."""
    spec = importlib.util.find_spec('mmseg')
    if spec is None:
        raise SystemExit(f'the package mmseg is not installed: run  pip install -e "{ROOT}"')
    found = Path(spec.origin) if spec.origin else None
    if found is None or not (found.parent / 'models' / 'backbones' / 'lrformer.py').is_file():
        raise SystemExit(
            f"the package mmseg that Python finds, {found}, is not LRFormer's but another distribution's: "
            f'run  pip uninstall mmsegmentation  and then  pip install -e "{ROOT}"'
        )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options of both programs."""
    parser.add_argument('--work-dir', help='where the run writes [work_dirs/NAME_OF_THE_CONFIG]')
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
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='values to change in the config',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='what started the processes'
    )
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)  # old launchers pass it
