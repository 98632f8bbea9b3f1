"""The two kinds of checkpoint files, ``.pth`` and ``.safetensors``: looked at for damage, and read into memory."""

import json
import os
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open

from .checksum import check_archive, digest_of_tensors
from .pickle_allowlist import Refused
from .unpickling import foreign_names, read_torch_file

DIGEST, META = 'lrformer_sha256', 'meta'  # keys in the header of a .safetensors file
_ANOTHER = 'Take another copy of it, or an earlier checkpoint'


def check_checkpoint_file(path: str) -> None:
    """Look for damage in a local ``.pth`` or ``.safetensors`` file without loading it.

    Raises:
        ValueError: it is damaged, or no checkpoint; the message says how that shows.
        OSError: it cannot be read.
    """
    if os.fspath(path).endswith('.safetensors'):
        read_safetensors(path, torch.device('cpu'))
        return
    with open(path, 'rb') as file:
        _check_archive(file, path)


def _check_archive(file: BinaryIO, path: str) -> None:
    try:
        check_archive(file)
    except ValueError as error:
        raise ValueError(f'{path}: not a PyTorch checkpoint, or damaged: {error}. {_ANOTHER}') from error


def read_safetensors(path: str, device: torch.device) -> dict:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except SafetensorError as error:
        raise ValueError(f'{path}: not a safetensors file, or damaged: {error}. {_ANOTHER}') from error
    digest = metadata.pop(DIGEST, None)
    if digest not in (None, digest_of_tensors(tensors, metadata)):
        raise ValueError(f'{path}: damaged: its content differs from the checksum that it was saved with. {_ANOTHER}')
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    return {**_meta(metadata), 'state_dict': tensors}


def _meta(metadata: dict[str, str]) -> dict:
    try:
        meta = json.loads(metadata[META])
    except (KeyError, ValueError, RecursionError):
        return {}  # another program's file
    return {'meta': meta} if isinstance(meta, dict) else {}


def read_pickle(path: str, device: torch.device) -> object:
    with open(path, 'rb') as file:
        _check_archive(file, path)
        try:
            return read_torch_file(file, device)
        except Exception as error:  # a file without checksum can be wrong in every way
            if names := [str(error)] if isinstance(error, Refused) else foreign_names(file):
                raise ValueError(
                    f'{path}: refused: its pickle asks for {", ".join(names)}, which weights have no need of and which '
                    'could run code. Nothing was executed. Have the weights saved as tensors only, or as .safetensors'
                ) from error
            raise ValueError(
                f'{path}: not a PyTorch checkpoint, or damaged: {_first_line(error)}. {_ANOTHER}'
            ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
