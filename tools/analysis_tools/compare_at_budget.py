"""Trains configs from scratch, one after the other, for the same CPU time each, and prints their scores in one table.

    nice python tools/analysis_tools/compare_at_budget.py --seconds 240 --work-dir work_dirs/budget

One thread, the CPU time of the process: what else runs on the machine changes little. What an iteration costs, data
included, is measured first (the median of some); the run has the budget's worth of iterations, and its schedule ends
with the last. Start, the measuring, the test and the checkpoint are not counted. The scores are those of the last
weights on the config's test split.
"""

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import torch
from mmengine.hooks import Hook
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from command_line import require_own_mmseg

require_own_mmseg()

from mmseg.engine.launch import load_config, train  # noqa: E402
from mmseg.registry import HOOKS  # noqa: E402

SCENES = (
    *('lrformer-n_scenes-128x128', 'segformer-b0_scenes-128x128'),
    *('unet-s_scenes-128x128', 'deeplabv3plus-mobilenet_scenes-128x128'),
)
WARM_UP = 5  # iterations that are not measured


@HOOKS.register_module()
class CPUClock(Hook):
    """The process's CPU seconds at the start of training, and after each iteration."""

    def before_train(self, runner) -> None:
        self.times = [time.process_time()]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.times.append(time.process_time())


def train_for(config: str, iterations: int, folder: Path):
    """A runner that has trained a config for so many iterations, and its clock."""
    cfg = load_config(config, {'train_cfg.max_iters': iterations, 'train_cfg.val_interval': iterations}, str(folder))
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.pop('save_best')
    cfg.default_hooks.pop('visualization')
    cfg.custom_hooks = [dict(type='CPUClock')]
    cfg.test_after_train = False
    runner = train(cfg)
    return runner, next(hook for hook in runner.hooks if isinstance(hook, CPUClock))


def seconds_an_iteration(config: str, iterations: int, folder: Path) -> float:
    times = train_for(config, WARM_UP + iterations, folder)[1].times[WARM_UP:]
    return statistics.median(after - before for before, after in itertools.pairwise(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=SCENES, help='names or files [four on the scenes]')
    parser.add_argument('--seconds', type=float, default=240, help='of CPU time for each training [240]')
    parser.add_argument('--measure', type=int, default=30, help='iterations to measure an iteration by [30]')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/budget'))
    args = parser.parse_args()

    torch.set_num_threads(1)
    table = Table(box=MARKDOWN, title=f'{args.seconds:g} s of CPU time for each training, one thread')
    for heading in ('config', 'parameters', 'CPU s an iteration', 'iterations', 'CPU s spent', 'mIoU', 'aAcc'):
        table.add_column(heading, justify='left' if heading == 'config' else 'right')
    for config in args.configs:
        folder = args.work_dir / Path(config).stem
        cost = seconds_an_iteration(config, args.measure, folder / 'measured')
        runner, clock = train_for(config, max(1, round(args.seconds / cost)), folder)
        scores = runner.test()
        parameters = sum(p.numel() for p in runner.model.parameters())
        row = [Path(config).stem, f'{parameters / 1e6:.2f} M', f'{cost:.3f}', f'{runner.iter}']
        row += [f'{clock.times[-1] - clock.times[0]:.0f}', f'{scores["mIoU"]:.2f}', f'{scores["aAcc"]:.2f}']
        table.add_row(*row)
        print(*row, sep=' | ', flush=True)
    Console(width=130).print(table)


if __name__ == '__main__':
    main()
