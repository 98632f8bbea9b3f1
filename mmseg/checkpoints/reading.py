"""Reading checkpoint files safely.

A checkpoint is the one file that users take from strangers. It is read with torch's ``weights_only``
unpickler, which refuses every class but tensors and plain containers, plus the few harmless ones that
mmengine's training state carries (``pickle_allowlist.py``). Damage is looked for first (``checksum.py``).
"""

import json
import os
import pickle
import re
import zipfile
from typing import BinaryIO

import torch
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .checksum import check_archive, digest_of_tensors
from .pickle_allowlist import allowed_classes, foreign_names

DIGEST, META = 'lrformer_sha256', 'meta'  # keys in the header of a .safetensors file
_ANOTHER = 'Take another copy of it, or an earlier checkpoint'


def load_checkpoint_file(path: str, map_location: str | torch.device | None = 'cpu') -> dict:
    """Reads a local ``.pth`` or ``.safetensors`` file.

    Args:
        path: the file; weights may be nested under ``state_dict`` or ``model``, or bare, and their
            names may start with ``module.``.
        map_location: where tensors go, as for :func:`torch.load`.

    Returns:
        The file's content with the weights under ``state_dict``, names without ``module.``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, is damaged, or holds a class that is not allowed.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'checkpoint {path!r} does not exist; download it, '
            'or correct the path on the command line, in load_from or in init_cfg'
        )
    if path.endswith('.safetensors'):
        content = _read_safetensors(path, map_location)
    else:
        content = _read_pickle(path, map_location)
    if not isinstance(content, dict):
        raise ValueError(f'{path}: not a checkpoint: it holds a {type(content).__name__}, not a dict of weights')

    nested = next((key for key in ('state_dict', 'model') if isinstance(content.get(key), dict)), None)
    weights = content.pop(nested) if nested else content
    tensors = {name.removeprefix('module.'): v for name, v in weights.items() if isinstance(v, Tensor)}
    if not tensors:
        raise ValueError(
            f'{path}: not a checkpoint: no weights in it (found: {", ".join(map(str, list(content)[:5]))})'
        )
    return {**(content if nested else {}), 'state_dict': tensors}


def check_checkpoint_file(path: str) -> None:
    """Look for damage in a local ``.pth`` or ``.safetensors`` file without loading it.

    Raises:
        ValueError: it is damaged, or no checkpoint; the message says how that shows.
        OSError: it cannot be read.
    """
    if os.fspath(path).endswith('.safetensors'):
        _read_safetensors(path, 'cpu')
        return
    with open(path, 'rb') as file:
        _check_archive(file, path)


def _check_archive(file: BinaryIO, path: str) -> None:
    try:
        check_archive(file)
    except ValueError as error:
        raise ValueError(f'{path}: not a PyTorch checkpoint, or damaged: {error}. {_ANOTHER}') from error


def _read_safetensors(path: str, map_location) -> dict:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except SafetensorError as error:
        raise ValueError(f'{path}: not a safetensors file, or damaged: {error}. {_ANOTHER}') from error
    digest = metadata.pop(DIGEST, None)
    if digest not in (None, digest_of_tensors(tensors, metadata)):
        raise ValueError(f'{path}: damaged: its content differs from the checksum that it was saved with. {_ANOTHER}')
    if map_location is not None:
        tensors = {name: tensor.to(map_location) for name, tensor in tensors.items()}
    return {**_meta(metadata), 'state_dict': tensors}


def _meta(metadata: dict[str, str]) -> dict:
    try:
        meta = json.loads(metadata[META])
    except (KeyError, ValueError, RecursionError):
        return {}  # another program's file
    return {'meta': meta} if isinstance(meta, dict) else {}


def _read_pickle(path: str, map_location) -> dict:
    earlier = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()  # what other packages allow for their files is of no use in ours
    torch.serialization.add_safe_globals(allowed_classes())
    try:
        with open(path, 'rb') as file:
            _check_archive(file, path)
            file.seek(0)
            return _unpickle(file, path, map_location)
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(earlier)


def _unpickle(file: BinaryIO, path: str, map_location) -> dict:
    try:
        return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # torch raises the same exception for a class that is refused and for a file that is no pickle.
        named = re.search(r'GLOBAL (.+?) (?:was not an allowed|whose module)', str(error))
        if names := [named.group(1)] if named else foreign_names(_instructions(file)):
            raise ValueError(
                f'{path}: refused: its pickle asks for {", ".join(names)}, which weights have no need of and which '
                'could run code. Nothing was executed. Have the weights saved as tensors only, or as .safetensors'
            ) from error
        raise ValueError(f'{path}: not a PyTorch checkpoint, or damaged. {_ANOTHER}') from error
    except Exception as error:  # a file without checksum can be wrong in every way
        raise ValueError(f'{path}: not a PyTorch checkpoint, or damaged: {_first_line(error)}. {_ANOTHER}') from error


def _instructions(file: BinaryIO) -> bytes:
    """The pickle of a checkpoint file, or as much of an old one as can tell."""
    file.seek(0)
    start = file.read(1 << 20)
    if not start.startswith(b'PK\x03\x04'):
        return start
    try:
        with zipfile.ZipFile(file) as archive:
            return b''.join(archive.read(name) for name in archive.namelist() if name.endswith('/data.pkl'))
    except (zipfile.BadZipFile, NotImplementedError):
        return b''


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def dataset_meta_of(checkpoint: dict) -> dict | None:
    """Class names and colours (``classes``, ``palette``) that a checkpoint states, also as mmsegmentation 0.x wrote
    them; None without."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict):
        return None
    stated = meta.get('dataset_meta', {'classes': meta.get('CLASSES'), 'palette': meta.get('PALETTE')})
    whole = isinstance(stated, dict) and stated.get('classes') and stated.get('palette')
    return stated if whole else None


# mmengine.runner.load_checkpoint and everything built on it reads local files through us as well.
CheckpointLoader.register_scheme(prefixes='', loader=load_checkpoint_file, force=True)
