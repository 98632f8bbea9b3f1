"""``lrformer`` as a file, for launchers: what processes.py starts is the package that started it."""

import sys
from pathlib import Path

if not __package__:  # run as a file: this folder is no place to import from
    del sys.path[0]
    sys.path.append(str(Path(__file__).parents[2]))

from mmseg.cli import program

if __name__ == '__main__':
    program()
