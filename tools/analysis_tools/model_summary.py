"""A model by module: kind, output, parameters, multiply-adds, without data or weights.

python tools/analysis_tools/model_summary.py MODEL --shape 512 512 --depth 3
"""

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.analysis.summary import summarize  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='MODEL', help='config file or name')
    parser.add_argument('--shape', type=int, nargs=2, default=[512, 512], metavar=('H', 'W'), help='[512 512]')
    parser.add_argument('--depth', type=int, default=3, metavar='N', help='levels of modules [3]')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='values to change')
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    register_all_modules()
    with torch.device('meta'):  # shapes only
        model = MODELS.build(cfg.model).eval()
    Console(width=140).print(summarize(model, tuple(args.shape), args.depth))


if __name__ == '__main__':
    main()
