"""A user's mistake, which a line explains, and a fault of the program, whose place must be seen."""

import os
import sys
import traceback
from pathlib import Path

import mmengine

TRACEBACK = 'LRFORMER_TRACEBACK'  # environment variable: show where mistakes came from as well
FAILED, USAGE, INTERRUPTED = 1, 2, 130  # exit codes

_EXPLAINED = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SyntaxError)
_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
_HOMES = tuple(str(Path(file).parent) + os.sep for file in (Path(__file__).parent, mmengine.__file__))


def is_mistake(error: BaseException) -> bool:
    """Whether the message alone says what to do: the system's about a file, and what this package or mmengine raises.

    The same kinds of error that Python or a library comes upon are faults.
    """
    if isinstance(error, OSError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    raised = bool(frames) and frames[-1].filename.startswith(_HOMES) and (frames[-1].line or '').startswith('raise')
    return isinstance(error, _EXPLAINED) and raised


def message(error: BaseException) -> str:
    """What an error says, as a sentence."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])  # str(error) has quotes around it
    return str(error) or type(error).__name__


def report(error: BaseException) -> int:
    """Print a mistake's message, or a fault's traceback, to stderr.

    Returns:
        The exit code: 2 for a mistake in a call or config, 1 for all else.
    """
    mistake = is_mistake(error)
    if mistake and not os.environ.get(TRACEBACK):
        print(f'error: {message(error)}', file=sys.stderr)
    else:
        traceback.print_exception(error)
    return USAGE if mistake and (not isinstance(error, OSError) or isinstance(error, _WRONG_PATH)) else FAILED
