"""Trained segmentors as folders, and on the Hugging Face hub: a config, weights and a card.

The config is Python's assignments of plain values, so that it serves as a config file, but it is read here without
running it; the weights are safetensors.
"""

import ast
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from pprint import pformat
from tempfile import TemporaryDirectory

from mmengine.config import Config
from torch import nn

from mmseg.checkpoints import hub_folder, save_checkpoint_file
from mmseg.engine.config.tta import innermost_datasets
from mmseg.utils.atomic_file import atomic_write
from mmseg.zoo import models

from .inference import init_model

CONFIG, WEIGHTS, CARD = 'config.py', 'model.safetensors', 'README.md'
KEPT = ('default_scope', 'custom_imports', 'crop_size', 'model', 'test_pipeline', 'tta_pipeline', 'tta_model')
SCOPES = ('mmseg', 'mmdet', 'mmcv', 'mmengine')


def save_pretrained(model: nn.Module, folder: str | Path, card: str | None = None) -> Path:
    """Writes a segmentor for others: ``config.py``, ``model.safetensors`` and ``README.md``.

    No paths of this machine, and nothing of the training, goes along. A card that is there stays.

    Args:
        model: from :func:`~mmseg.apis.init_model`.
        folder: is made where it is not there.
        card: text for the card, below its usage.

    Raises:
        ValueError: the model has no config.
    """
    cfg, meta = getattr(model, 'cfg', None), getattr(model, 'dataset_meta', None)
    if cfg is None:
        raise ValueError(f'{type(model).__name__} has no config to save: build it with init_model(CONFIG, CHECKPOINT)')
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / CONFIG) as file:
        file.write(_config_text(model, cfg).encode())
    facts = dict(dataset_meta={key: list(value) for key, value in (meta or {}).items() if value})
    save_checkpoint_file(str(folder / WEIGHTS), dict(state_dict=model.state_dict(), meta=facts))
    if not (folder / CARD).exists():
        with atomic_write(folder / CARD) as file:
            file.write(_card(folder.name, meta or {}, card).encode())
    return folder


def push_to_hub(
    model: nn.Module,
    repository: str,
    *,
    card: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = 'Weights and config of a segmentor',
) -> str:
    """Uploads what :func:`save_pretrained` writes, and returns the commit's address.

    Args:
        model: from :func:`~mmseg.apis.init_model`.
        repository: OWNER/NAME; it is made where it is not there. Its card, if it has one, stays.
        card: text for the card.
        private: whether a new repository is; the owner's default where left out.
        token: of the hub; the one of ``hf auth login`` where left out.
        commit_message: says what changes.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    api.create_repo(repository, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        saved = save_pretrained(model, Path(folder) / repository.rpartition('/')[2], card)
        has_card = api.file_exists(repository, CARD)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=saved,
            commit_message=commit_message,
            ignore_patterns=[CARD] if has_card else None,
        )
    return str(commit.commit_url)


def from_pretrained(source: str | Path, device: str = 'cuda:0', revision: str | None = None) -> nn.Module:
    """A segmentor, ready for :func:`~mmseg.apis.inference_model`.

    Args:
        source: a published model's name, or a folder or a repository of the hub (OWNER/NAME) that
            :func:`save_pretrained` or :func:`push_to_hub` wrote.
        device: as for :func:`~mmseg.apis.init_model`.
        revision: of a repository: branch, tag or commit.

    Raises:
        FileNotFoundError, ConnectionError: there is no such thing, or it cannot be reached.
        ValueError: the config has more than plain values in it, or the weights do not fit.
    """
    if source in models() and not os.path.isdir(source):
        return init_model(source, device=device)
    folder = Path(source)
    if not folder.is_dir():
        if str(source).count('/') != 1 or folder.is_absolute():
            raise FileNotFoundError(
                f'{str(source)!r} is no folder, no OWNER/NAME of the hub and none of {", ".join(models())}'
            )
        folder = Path(hub_folder(str(source), (CONFIG, WEIGHTS), revision))
    return init_model(_read_config(folder / CONFIG), folder / WEIGHTS, device)


def _config_text(model: nn.Module, cfg: Mapping) -> str:
    kept = {key: cfg[key] for key in KEPT if cfg.get(key) is not None}
    kept['model'] = {**_without_weights(kept['model']), **getattr(model, 'own_config', {})}
    if cfg.get('test_dataloader'):
        first = next(innermost_datasets(cfg['test_dataloader']['dataset']))
        kept['test_dataloader'] = dict(dataset={k: first[k] for k in ('type', 'metainfo', 'pipeline') if first.get(k)})
    return ''.join(f'{key} = {pformat(_plain(value), width=118, sort_dicts=False)}\n' for key, value in kept.items())


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else list(map(_plain, value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, type):  # as mmengine's pure Python configs write a type
        return value.__name__
    raise ValueError(f'{value!r} in the config is no plain value; others could not read it')


def _without_weights(part: Mapping) -> dict:
    """Without where weights to start from were: all of them are in the file."""

    def without(value: object) -> object:
        if isinstance(value, Mapping):
            return _without_weights(value)
        return [*map(without, value)] if type(value) is list else value

    dropped = ('init_cfg', 'encoder_weights') + (('pretrained',) if isinstance(part.get('pretrained'), str) else ())
    return {key: without(value) for key, value in part.items() if key not in dropped}


def _read_config(path: Path) -> Config:
    """Values of a config's assignments; nothing of it is run."""
    values = {}
    for statement in ast.parse(path.read_text(encoding='utf-8'), str(path)).body:
        try:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    values[name] = ast.literal_eval(value)
                case _:
                    raise ValueError('no assignment to one name')
        except ValueError as error:
            raise ValueError(
                f'{path}: line {statement.lineno} is no plain NAME = VALUE; a config that you trust can be run, by '
                f'init_model({str(path)!r}, ...)'
            ) from error
    if foreign := sorted({kind for kind in _types(values) if not _is_plain_type(kind)}):
        raise ValueError(
            f'{path}: refused: its type {foreign[0]!r} is a path into a module; register the class instead'
        )
    for name in (values.get('custom_imports') or {}).get('imports', ()):
        if name.partition('.')[0] == 'mmseg':
            importlib.import_module(name)
    return Config(values)


def _types(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [str(part['type'])] if 'type' in part else []
        for value in part.values():
            yield from _types(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from _types(value)


def _is_plain_type(kind: str) -> bool:
    scope, _, name = kind.rpartition('.')
    return scope in ('', *SCOPES)


def _card(name: str, meta: Mapping, text: str | None) -> str:
    classes = ', '.join(meta.get('classes') or ()) or 'not stated'
    return f"""---
library_name: lrformer
pipeline_tag: image-segmentation
---

# {name}

A semantic-segmentation network, made with LRFormer's toolbox.

```python
from mmseg.apis import from_pretrained, inference_model

model = from_pretrained('OWNER/{name}')
result = inference_model(model, 'image.jpg')  # result.pred_sem_seg.data: 1 x H x W class indices
```

Classes: {classes}.
{f'{chr(10)}{text}{chr(10)}' if text else ''}"""
