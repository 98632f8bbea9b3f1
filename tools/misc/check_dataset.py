"""Reads every image and annotation of a config's datasets, and says what is wrong with them and how to mend it.

    python tools/misc/check_dataset.py configs_local/lrformer/lrformer-t_custom-dataset.py

Exit code: 0, or 1 where there are errors; warnings alone are no errors. Nothing is written.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg  # noqa: E402

require_own_mmseg()

from mmseg.datasets.checks import check_datasets  # noqa: E402
from mmseg.engine.launch import load_config  # noqa: E402
from mmseg.engine.runner.data_root import hand_down_data_root  # noqa: E402
from mmseg.utils import register_all_modules  # noqa: E402
from mmseg.utils.parallel import available_cpus  # noqa: E402

SPLITS = ('train', 'val', 'test')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=list(SPLITS), help='only these [all]')
    parser.add_argument('--nproc', type=int, default=available_cpus(), help='processes [all CPUs]')
    parser.add_argument('--json', action='store_true', help='print the result as JSON, and progress on stderr')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='values to change in the config, such as data_root=DIR',
    )
    args = parser.parse_args()
    if args.nproc < 1:
        parser.error(f'--nproc must be at least 1, got {args.nproc}')
    return args


def datasets_of(cfg: Config, splits: list[str]) -> dict[str, dict]:
    """The configs of its datasets by split, as far as it has them."""
    loaders = {split: cfg.get(f'{split}_dataloader') for split in splits}
    root = cfg.get('data_root')
    return {split: hand_down_data_root(loader['dataset'], root) for split, loader in loaders.items() if loader}


def main() -> int:
    args = parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors='backslashreplace')  # file names need not be text
    cfg = load_config(args.config, args.cfg_options)
    register_all_modules()
    datasets = datasets_of(cfg, args.splits)
    if not datasets:
        raise SystemExit(f'{args.config} has no dataset for {", ".join(args.splits)}')
    num_classes = cfg.get('model', {}).get('decode_head', {}).get('num_classes')
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        report = check_datasets(datasets, args.nproc, num_classes)
    if args.json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        report.show(Console() if sys.stdout.isatty() else Console(width=120))
    return 0 if report.ok else 1


if __name__ == '__main__':
    sys.exit(main())
