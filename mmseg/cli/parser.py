"""How options are read: in any order, with short help, and a hint where one is misspelt."""

import argparse
import difflib
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from mmseg.utils.mistakes import TRACEBACK, USAGE


class Parser(argparse.ArgumentParser):
    """Reads the words behind a command.

    Args:
        command: its name.
        summary: what it does, half a sentence.
        usage: the words behind it.
    """

    def __init__(self, command: str, summary: str, usage: str) -> None:
        super().__init__(
            prog=f'lrformer {command}',
            usage=f'lrformer {command} {usage}',
            description=f'{summary[0].upper()}{summary[1:]}.',
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=28),
            add_help=False,
        )

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options; ends the program with 2 where there is no such thing."""
        self.add_argument('--traceback', action='store_true', help=f'show where errors come from (or {TRACEBACK}=1)')
        self.add_argument('--help', '-h', action='help', help='show this')
        args, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(unknown[0].split('=')[0], known, n=1)
            self.error(f'there is no {unknown[0]!r}{f", did you mean {near[0]!r}?" if near else ""}')
        return args

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f'error: {message}\nusage: {self.usage}\n{self.prog} --help says more\n')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='values to change in the config',
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of train and test alike."""
    add = parser.add_argument
    add('--work-dir', metavar='DIR', help='where the run writes [work_dirs/NAME_OF_CONFIG]')
    add(
        '--amp',
        nargs='?',
        const='auto',
        choices=['auto', 'bfloat16', 'float16'],
        metavar='DTYPE',
        help='mixed precision, in bfloat16, float16, or what suits [auto]',
    )
    add_cfg_options(parser)
    add_launcher(parser)


def add_launcher(parser: argparse.ArgumentParser) -> None:
    launchers = ['none', 'pytorch', 'slurm']
    parser.add_argument(
        '--launcher', choices=launchers, default='none', metavar='NAME', help='what started this: pytorch or slurm'
    )
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)  # old launchers pass it


def process_count(text: str) -> int:
    """The type of GPUS."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f'the number of GPUs (or of processes on the CPU) must be 1 or more, not {text!r}'
        )
    return int(text)
