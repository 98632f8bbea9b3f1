"""Where a config names a loop, hook, sampler or dataset of mmengine's of which this package has a form that keeps more
promises.

A config may name it in several ways; what counts is the class that the name leads to.
"""

import mmengine.dataset
from mmengine import hooks
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from mmengine.registry import Registry
from mmengine.runner import BaseLoop, loops
from torch.utils.data import DataLoader, Sampler

from mmseg.datasets import wrappers
from mmseg.registry import DATA_SAMPLERS, DATASETS, HOOKS, LOOPS

from ..hooks import CheckpointHook, EarlyStoppingHook, LoggerHook
from ..processes.batch_plan import BatchPlan
from ..samplers import InfiniteSampler as SeekableSampler

OWN_HOOKS = CheckpointHook, EarlyStoppingHook, LoggerHook
OWN_DATASETS = wrappers.ConcatDataset, wrappers.RepeatDataset, wrappers.ClassBalancedDataset


def resolved(registry: Registry, kind: str | type | None) -> type | None:
    """The class that a config's ``type`` means: a name, a scoped or dotted one, or the class itself."""
    return registry.get(kind) if isinstance(kind, str) else kind


def own_loop(cfg: dict, *own: type) -> dict:
    """The config of a loop; if that is one of ``own``, or mmengine's of the same name, with that class as type."""
    kind = resolved(LOOPS, cfg.get('type'))
    for ours in own:
        if kind in (ours, getattr(loops, ours.__name__)):
            return {**cfg, 'type': ours}
    return cfg


def own_hook(hook: Hook | dict) -> Hook | dict:
    """The config of a hook, with the one here in place of mmengine's of the same name; built ones stay."""
    if isinstance(hook, dict):
        kind = resolved(HOOKS, hook.get('type'))
        for ours in OWN_HOOKS:
            if kind is getattr(hooks, ours.__name__):
                return {**hook, 'type': ours}
    return hook


def own_dataset(cfg: object, key: str) -> object:
    """The config of a dataset, with the wrappers here in place of mmengine's of the same name, however deep.

    Raises:
        TypeError: several datasets stand where one is due; ``key`` says where in a dataloader.
    """
    if isinstance(cfg, (list, tuple)):
        raise TypeError(
            f'the {key} of a dataloader is a list; to join datasets, write '
            f"{key}=dict(type='ConcatDataset', datasets=[...])"
        )
    if not isinstance(cfg, dict):
        return cfg
    cfg = dict(cfg)
    if 'dataset' in cfg:
        cfg['dataset'] = own_dataset(cfg['dataset'], f'{key}.dataset')
    if isinstance(cfg.get('datasets'), (list, tuple)):
        cfg['datasets'] = [own_dataset(part, f'{key}.datasets.{i}') for i, part in enumerate(cfg['datasets'])]
    kind = resolved(DATASETS, cfg.get('type'))
    for ours in OWN_DATASETS:
        if kind is getattr(mmengine.dataset, ours.__name__):
            cfg['type'] = ours
    return cfg


def refuse_what_others_cannot(loop: BaseLoop, plan: BatchPlan) -> None:
    """Check a training loop that somebody else wrote.

    Raises:
        ValueError: it would never end, or leave gradients that it should have added up.
    """
    if hasattr(loop, 'iters_per_pass'):
        return
    name = type(loop).__name__
    if plan.accumulation > 1:
        raise ValueError(f'{name} cannot accumulate gradients ({plan}): use IterBasedTrainLoop or EpochBasedTrainLoop')
    endless = isinstance(loop.dataloader.sampler, (InfiniteSampler, SeekableSampler))
    if isinstance(loop, loops.EpochBasedTrainLoop) and endless:
        raise ValueError(
            f'{name} never ends with InfiniteSampler, which goes on for ever: derive it from '
            'mmseg.engine.EpochBasedTrainLoop, or use a sampler that ends'
        )


def can_seek(sampler: dict | Sampler | None) -> bool:
    """Whether a sampler, or the one that a config describes, can start anywhere."""
    kind = sampler.get('type') if isinstance(sampler, dict) else type(sampler)
    return hasattr(resolved(DATA_SAMPLERS, kind), 'seek')


def seekable(dataloader: DataLoader | dict | None) -> DataLoader | dict | None:
    """For mmengine's two samplers, which deal out every index once an epoch, the one here, which does so as well."""
    sampler = _sampler(dataloader, DefaultSampler, InfiniteSampler)
    if sampler is None:
        return dataloader
    options = {key: value for key, value in sampler.items() if key != 'round_up'}  # only whole batches count anyway
    return {**dataloader, 'sampler': {**options, 'type': SeekableSampler}}


def each_image_once(dataloader: DataLoader | dict | None) -> DataLoader | dict | None:
    """mmengine's sampler repeats images until all processes have equally many; metrics must not count them so."""
    sampler = _sampler(dataloader, DefaultSampler)
    return dataloader if sampler is None else {**dataloader, 'sampler': {**sampler, 'round_up': False}}


def _sampler(dataloader: DataLoader | dict | None, *kinds: type) -> dict | None:
    """The config of the sampler, if it is one of these."""
    sampler = dataloader.get('sampler') if isinstance(dataloader, (dict, Config)) else None
    if isinstance(sampler, dict) and resolved(DATA_SAMPLERS, sampler.get('type')) in kinds:
        return sampler
    return None
