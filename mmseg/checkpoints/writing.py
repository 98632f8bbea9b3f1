"""Writing checkpoint files: complete or not at all, and made of tensors and plain data."""

import json
import os
from collections.abc import Mapping
from typing import BinaryIO, overload

import numpy as np
import safetensors.torch
import torch

from mmseg.utils.atomic_file import atomic_write

from .checksum import digest_of_tensors, save_with_checksum
from .file_kinds import DIGEST, META


def save_checkpoint_file(path: str, checkpoint: dict) -> None:
    """Write a ``.pth`` or ``.safetensors`` file with a checksum, completely or not at all.

    Args:
        path: the file, in a local folder; its suffix decides on the form.
        checkpoint: nested state; :func:`to_plain` makes plain data of it. For ``.safetensors`` only ``state_dict``,
            and under ``meta`` what JSON can express.

    Raises:
        OSError: it could not be written; a file that was there before is still there.
        ValueError: it holds what a ``.safetensors`` file cannot.
    """
    with atomic_write(path) as file:
        write_checkpoint(file, checkpoint, as_safetensors=os.fspath(path).endswith('.safetensors'))


def write_checkpoint(file: BinaryIO, checkpoint: dict, as_safetensors: bool) -> None:
    """:func:`save_checkpoint_file` into an open, empty file."""
    checkpoint = to_plain(checkpoint)
    if not as_safetensors:
        save_with_checksum(checkpoint, file)
        return
    excess = sorted(set(checkpoint) - {'state_dict', 'meta'})
    if excess:
        raise ValueError(f'.safetensors files hold weights and meta only, not {", ".join(excess)}: write a .pth file')
    # Their own memory for all: the format refuses tensors that share it.
    tensors = {name: value.clone().contiguous() for name, value in checkpoint['state_dict'].items()}
    metadata = {'format': 'pt', META: json.dumps(checkpoint.get('meta', {}), ensure_ascii=False)}
    metadata[DIGEST] = digest_of_tensors(tensors, metadata)
    file.write(safetensors.torch.save(tensors, metadata))


@overload
def to_plain(value: dict) -> dict: ...
@overload
def to_plain(value: object) -> object: ...
def to_plain(value):
    """Copy nested state onto the CPU as tensors, dicts, lists, tuples, strings and numbers.

    Such a file loads without any pickled class. What has no plain form becomes its ``repr``.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, np.ndarray):
        numbers = value.dtype.kind in 'biufc'
        return torch.from_numpy(value.astype(value.dtype.newbyteorder('='))) if numbers else to_plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_plain, value)) if type(value) in (list, tuple) else [to_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    return repr(value)
