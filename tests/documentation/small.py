"""Trainings of days become trainings of two iterations, on crops of 64 x 64, of the smallest network.

The values go into each config as ``--cfg-options`` would, before those that a command states itself. Several
processes become one, once torchrun has read how they would be started.
"""

import os
from collections.abc import Iterator, Sequence

import mmengine.config.config
from mmengine.config import Config
from torch.distributed.run import get_args_parser

from mmseg.cli import processes
from mmseg.engine import launch
from mmseg.engine.config import overrides
from mmseg.engine.config.keys import walk

SIZE = (64, 64)
SMALL = {
    'train_cfg.max_iters': 2,
    'train_cfg.max_epochs': 2,
    'train_dataloader.global_batch_size': 2,
    'train_dataloader.num_workers': 0,
    'val_dataloader.num_workers': 0,
    'test_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.persistent_workers': False,
    'crop_size': SIZE,
    'image_scale': SIZE,
    'default_hooks.report': None,  # seconds of drawing after each training; tests/test_report has it
}
SCENES = 6


def use() -> None:
    """Let all configs that this process reads from now on be small."""
    stated = launch.with_options

    def with_options(cfg: Config, options: dict) -> Config:
        stated(cfg, options)  # refuses what it would
        return overrides._run_again(cfg, {**dict(_small_values(cfg)), **options})

    launch.with_options = with_options
    mmengine.config.config.FormatCode = lambda text, **style: (text, True)  # seconds a training, for its log alone
    processes.os = _OneProcess()


def _small_values(cfg: Config) -> Iterator[tuple[str, object]]:
    for key, value in SMALL.items():
        if overrides._look_up(cfg, key.split('.')) is not None:
            yield key, value
            if key == 'train_cfg.max_iters':
                yield 'train_cfg.val_interval', value
    for place, value in walk(cfg._cfg_dict):
        last = place.rsplit('.', 1)[-1]
        if last == 'num_scenes':
            yield place, SCENES
        elif isinstance(value, dict) and value.get('type') == 'LRFormer' and 'variant' in value:
            yield f'{place}.variant', 'n'


class _OneProcess:
    """The module ``os`` to what would become torchrun: one process does the work."""

    environ = os.environ

    def execve(self, program: str, command: Sequence[str], environment: dict[str, str]) -> None:
        get_args_parser().parse_args(command[3:])
