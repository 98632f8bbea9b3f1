import subprocess
import sys

import torch

from mmseg.utils import collect_env
from mmseg.version import __version__


def test_the_environment():
    facts = collect_env()
    assert facts['LRFormer'] == __version__ and facts['PyTorch'] == torch.__version__ and facts['timm']


def test_it_is_printed():
    done = subprocess.run([sys.executable, '-m', 'mmseg.utils.collect_env'], capture_output=True, text=True)
    assert done.returncode == 0 and f'LRFormer: {__version__}' in done.stdout
