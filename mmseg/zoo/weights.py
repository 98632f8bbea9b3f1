"""A published model's weights: a local copy, or the one that the hub has."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from mmseg.checkpoints import hub_file, hub_files

from .catalogue import CATALOGUE, HOME, Backbone, Model, backbones, config_file, models, repository
from .matching import matching_files


def resolve(name: str) -> tuple[str, str]:
    """Config and checkpoint of a published model, the checkpoint downloaded when first asked for.

    Raises:
        ValueError: there is no such model, or its file cannot be told from others; the message shows them.
        FileNotFoundError, ConnectionError: its weights cannot be had; the message says what to put where.
    """
    return config_file(name), weights_file(name)


def weights_file(name: str) -> str:
    """The checkpoint of a published model: in ``model_release/`` here or in the clone, else from the hub."""
    config_file(name)
    if name not in models():
        raise ValueError(
            f'{name} is a config without published weights: give a checkpoint of your own. '
            f'Weights are published of {", ".join(models())}'
        )
    model = models()[name]
    for folder in dict.fromkeys((Path('model_release'), HOME / 'model_release')):
        local = matching_files(map(str, folder.glob('*')), model.files, name, model.crop)
        if len(local) == 1:
            print_log(f'{name}: weights from {local[0]}', 'current')
            return local[0]
    return _from_hub(model, name, model.crop, 'model_release/')


def checkpoint_file(source: str) -> str:
    """The checkpoint that a config or a command means.

    That of a published model for its name, the hub's ImageNet weights for the file of a config that is not here;
    anything else as it is.
    """
    if source in models():
        return weights_file(source)
    backbone = backbones().get(source)
    if backbone is None or os.path.isfile(source):
        return source
    try:
        return _from_hub(backbone, Path(source).stem, None, 'pretrained/')
    except OSError as error:
        raise FileNotFoundError(f'checkpoint {source!r} does not exist here, and {error}') from error


def _from_hub(entry: Model | Backbone, name: str, size: int | None, folder: str) -> str:
    try:
        files = hub_files(repository())
        found = matching_files(files, entry.files, name, size)
        if len(found) == 1:
            return hub_file(repository(), found[0])
    except OSError as error:
        raise type(error)(
            f'{error}. Download the weights of {name} elsewhere from the repository {repository()}, and put them '
            f'into {folder} of the folder that you start from'
        ) from error
    raise ValueError(_undecided(entry, found, files))


def _undecided(entry: Model | Backbone, found: Sequence[str], files: Sequence[str]) -> str:
    line = json.dumps({'files': [(found or ['THE FILE'])[0]]})[1:-1]
    problem = f'{len(found)} files of {repository()} could be' if found else f'no file of {repository()} is known to be'
    listed = '\n'.join(f'  {file}' for file in (found or files)) or '  (none)'
    return (
        f'{problem} {entry.name}:\n{listed}\n'
        f'Write the right one into the entry {entry.name!r} of {CATALOGUE}: {line}, '
        f'or give it as the checkpoint: hf://{repository()}/FILE'
    )
