"""How options are read: in any order, with short help, and a hint where one is misspelt."""

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from mmseg.utils.mistakes import USAGE

CONFIG_OR_NAME = 'config file, or a name (`lrformer models`)'  # help of MODEL and CONFIG


class _Help(argparse.RawDescriptionHelpFormatter):
    """One line an option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        shown = super()._format_args(action, default_metavar)
        return f'{action.metavar} ...' if action.nargs == '+' and action.option_strings else shown


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
            formatter_class=_Help,
            add_help=False,
        )
        self._positionals.title = self._optionals.title = None  # two blocks need no headings

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options; ends the program with 2 where there is no such thing."""
        self.add_argument('--traceback', action='store_true', help='show where errors come from')
        self.add_argument('--help', '-h', action='help', help='show this')
        known = [option for action in self._actions for option in action.option_strings]
        for word in words[: words.index('--')] if '--' in words else words:
            option = word.split('=')[0]
            if option.startswith('--') and not any(name.startswith(option) for name in known):
                near = difflib.get_close_matches(option, known, n=1)
                self.error(f'there is no option {option}{f", did you mean {near[0]}?" if near else ""}')
        return self.parse_intermixed_args(words)

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


def add_amp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'bfloat16', 'float16'),
        metavar='DTYPE',
        help='mixed precision: bfloat16, float16 [auto]',
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--weights',
        choices=('ema', 'last'),
        default='ema',
        metavar='WHICH',
        help='averaged (ema), or of the last iteration (last)',
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--backend',
        choices=('onnxruntime', 'openvino'),
        metavar='NAME',
        help='what runs an exported file [by its suffix]',
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of train and test alike."""
    parser.add_argument('--work-dir', metavar='DIR', help='where the run writes [work_dirs/NAME_OF_CONFIG]')
    add_amp(parser)
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
