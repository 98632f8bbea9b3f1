"""Writing files that cannot be lost half-written, and training state as tensors and plain data."""

import os
from collections.abc import Mapping
from contextlib import contextmanager, suppress

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub


@contextmanager
def atomic_write(path: str):
    """Open a file for writing bytes that appears under its name only when it is complete and on the disk.

    Whatever fails before, a file that was there under this name stays, and nothing half-written is left.
    """
    path = os.path.abspath(path)
    temporary = f'{path}.{os.getpid()}.tmp'
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    _sync_directory(os.path.dirname(path))


def _sync_directory(path: str) -> None:
    """The new name itself is on the disk only once its directory is; not every file system can do this."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def to_plain(value: object) -> object:
    """Copy nested state onto the CPU as tensors, dicts, lists, tuples, strings and numbers.

    Such a file loads without any pickled class. What has no plain form becomes its ``repr``.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist()) if value.dtype == object else torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_plain, value)) if type(value) in (list, tuple) else [to_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    return repr(value)


def message_hub_state(hub: MessageHub) -> dict:
    """The log's history and runtime facts as plain data."""
    state = hub.state_dict()
    scalars = {
        key: dict(zip(('values', 'counts'), buffer.data, strict=True)) for key, buffer in state['log_scalars'].items()
    }
    return to_plain({**state, 'log_scalars': scalars})


def load_message_hub_state(hub: MessageHub, state: dict) -> None:
    """Restore what :func:`message_hub_state` returned, or mmengine's own form of it."""
    scalars = {key: _history_buffer(value) for key, value in state['log_scalars'].items()}
    hub.load_state_dict({**state, 'log_scalars': scalars})


def _history_buffer(value: dict | HistoryBuffer) -> HistoryBuffer:
    if isinstance(value, HistoryBuffer):
        return value
    return HistoryBuffer(value['values'].numpy(), value['counts'].numpy())
