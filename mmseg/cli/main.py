"""Finds the command, reads its options, runs it, and turns what happens into an exit code."""

import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from mmseg.utils.mistakes import FAILED, INTERRUPTED, TRACEBACK, USAGE, report
from mmseg.version import __version__

from .parser import Parser

COMMANDS = {
    'train': 'train a model as a config says',
    'test': "score a checkpoint on its config's test split",
    'predict': 'segment photos, folders, videos, cameras, streams',
    'serve': 'a page to try models, and an HTTP endpoint',
    'new': 'look at a folder of data, and write a config that trains on it',
    'models': 'list the published models, and all names of configs',
    'check': "read all of a config's data and say what is wrong with it",
    'flops': 'count multiply-adds and parameters, module by module',
    'curves': 'draw losses, rates and metrics of trainings, one or several',
    'export': 'write a file that onnxruntime or OpenVINO runs',
    'benchmark': 'time network, prediction, training and evaluation',
    'publish': 'strip a checkpoint to what others need',
    'config': 'print a config with all that it inherits',
}
HELP = f"""LRFormer {__version__}: semantic segmentation with low-resolution self-attention.

usage: lrformer COMMAND ...      (lrformer COMMAND --help says more)

{chr(10).join(f'  {name:10} {summary}' for name, summary in COMMANDS.items())}

  lrformer predict lrformer-t-160k_ade20k photos/ --out results/
  lrformer new DATA --out mine.py && lrformer train mine.py

CONFIG and MODEL are config files, or names that `lrformer models` lists.
Exit codes: 0 all is well, 1 something failed, 2 wrong use.
--version; --traceback, or {TRACEBACK}=1, shows where errors come from.
"""


def program(argv: Sequence[str] | None = None) -> None:
    """What the console script and ``tools/`` are: :func:`main`, and the end of the process."""
    code = main(argv)
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)  # threads that wait for a camera would hold it up
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the words behind ``lrformer``; None for those of this process.

    Returns:
        The exit code.
    """
    words = [str(word) for word in (sys.argv[1:] if argv is None else argv)]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')  # file names need not be text
    try:
        return _run(words)
    except SystemExit as end:  # argparse's, and Preempted
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return FAILED
        return end.code or 0
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as with | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return report(error)


def _run(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith('-')), None)
    if '--version' in words[:1]:
        print(__version__)
        return 0
    if name is None:
        asked = any(word in ('-h', '--help') for word in words)
        print(HELP, end='', file=sys.stdout if asked else sys.stderr)
        return 0 if asked else USAGE
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f'did you mean {near[0]}?' if near else f'there are {", ".join(COMMANDS)}'
        print(f'error: there is no command {name!r}, {hint}', file=sys.stderr)
        return USAGE
    words.remove(name)
    command = importlib.import_module(f'.{name}', __package__)
    parser = Parser(name, COMMANDS[name], command.USAGE)
    command.add_arguments(parser)
    args = parser.read(words)
    if args.traceback:
        os.environ[TRACEBACK] = '1'  # for the processes of a job, too
    args.command_line = [name, *words]
    return command.run(args) or 0
