"""One ``data_root`` at a config's top level moves every dataset in it."""

import copy
import inspect

from mmseg.registry import DATASETS


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
    if dataset.get('data_root') is None and _accepts_data_root(DATASETS.get(kind) if isinstance(kind, str) else kind):
        dataset['data_root'] = data_root


def _accepts_data_root(dataset_class: type | None) -> bool:
    """Whether the constructor has that parameter, its own or one passed on to a parent by ``**kwargs``."""
    for owner in getattr(dataset_class, '__mro__', ()):
        if '__init__' not in vars(owner):
            continue
        parameters = inspect.signature(owner.__init__).parameters
        if 'data_root' in parameters:
            return True
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return False
    return False
