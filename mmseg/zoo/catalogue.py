"""What there is: configs by name, and ``model_release/models.json``, in a clone and in an installed package."""

import difflib
import json
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PACKAGE = Path(__file__).parents[1]
_SHIPPED = _PACKAGE / 'shipped'  # where a wheel has what stands beside the package in a clone (setup.py)
HOME = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
CATALOGUE = HOME / 'model_release' / 'models.json'


class Model(NamedTuple):
    """A published model.

    Attributes:
        name: that of its config.
        config: the config file, below ``configs_local``.
        dataset: the split that it was scored on.
        mIoU: the published figure, single scale, in percent.
        parameters: how many, in millions.
        crop: side of its training samples, pixels.
        files: patterns of its file's name in the hub's repository, the first choice of what is looked for.
    """

    name: str
    config: str
    dataset: str
    mIoU: float
    parameters: float
    crop: int
    files: list[str]


class Backbone(NamedTuple):
    """Published weights to start from.

    Attributes:
        name: the file that configs state in ``init_cfg``.
        dataset: what it was trained on.
        files: as for :class:`Model`.
    """

    name: str
    dataset: str
    files: list[str]


@cache
def _catalogue() -> dict:
    with open(CATALOGUE, encoding='utf-8') as file:
        return json.load(file)


def repository() -> str:
    """The hub's repository that holds the weights, OWNER/NAME."""
    return _catalogue()['repository']


def models() -> dict[str, Model]:
    """All published models by name."""
    return {entry['name']: Model(**entry) for entry in _catalogue()['models']}


def backbones() -> dict[str, Backbone]:
    """All published ImageNet weights by the file that configs state."""
    return {entry['name']: Backbone(**entry) for entry in _catalogue()['backbones']}


def is_name(text: str | os.PathLike) -> bool:
    """Whether a text is meant as a model's name and not as a config file."""
    return isinstance(text, str) and Path(text).suffix != '.py' and not os.path.isfile(text)


def config_names() -> list[str]:
    """All names that stand for a config, with published weights or without."""
    return sorted(_config_files())


def _config_files() -> dict[str, Path]:
    return {path.stem: path for path in (HOME / 'configs_local').glob('[!_]*/*.py')}


def config_file(name: str) -> str:
    """The config file of a name, which is that of a file of ``configs_local`` without ``.py``.

    Raises:
        ValueError: there is no such config; the message names similar ones.
    """
    files = _config_files()
    if name not in files:
        lower = {known.lower(): known for known in files}
        near = difflib.get_close_matches(name.lower(), lower, n=3)
        similar = ' or '.join(lower[known] for known in near)
        hint = f'did you mean {similar}?' if near else f'names are {", ".join(sorted(files))}'
        raise ValueError(f'{name!r} is neither a config file nor the name of a model: {hint}')
    return str(files[name])
