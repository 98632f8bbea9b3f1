"""One ``data_root`` at a config's top level moves every dataset in it."""

import copy

from torch.utils.data import Dataset

from mmseg.registry import DATASETS
from mmseg.registry.hints import accepted_arguments


def hand_down_data_root(dataset: dict, data_root: str | None) -> dict:
    """Put ``data_root`` into a dataset config, and those it wraps, where it states none and its class takes one.

    Args:
        dataset: config of a dataset or of a wrapper with ``dataset`` or ``datasets`` inside.
        data_root: the folder; None hands down nothing.

    Returns:
        A copy of the config.
    """
    dataset = copy.deepcopy(dataset)
    if data_root is not None:
        _hand_down(dataset, data_root)
    return dataset


def _hand_down(dataset: dict, data_root: str) -> None:
    inner = dataset.get('dataset')
    for wrapped in [inner] if isinstance(inner, dict) else dataset.get('datasets', []):
        _hand_down(wrapped, data_root)
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if dataset.get('data_root') is None and kind is not None and 'data_root' in accepted_arguments(kind):
        dataset['data_root'] = data_root


def dataset_of(cfg: dict, split: str) -> Dataset:
    """The dataset of a config's 'train', 'val' or 'test' dataloader, as a run would build it.

    Raises:
        ValueError: there is none.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ValueError(f'the config has no {split}_dataloader')
    return DATASETS.build(hand_down_data_root(loader['dataset'], cfg.get('data_root')))
