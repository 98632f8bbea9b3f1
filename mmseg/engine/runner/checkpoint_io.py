"""Checkpoint files: written so that none can be lost half-written, found again, and made of tensors and plain data."""

import errno
import glob
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np
import safetensors.torch
import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import HistoryBuffer, MessageHub, print_log

from mmseg.utils.checkpoint import DIGEST, META, check_checkpoint_file
from mmseg.utils.checksum import digest_of_tensors, save_with_checksum

_UNFINISHED = 'unfinished'  # suffix of a file that is being written


@contextmanager
def atomic_write(path: str):
    """Open a file for writing bytes that appears under its name only when it is complete and on the disk.

    Whatever fails before, a file that was there under this name stays, and nothing half-written is left. Once the
    block ends without an error, the file survives a power cut.
    """
    path = os.path.abspath(path)
    temporary = f'{path}.{os.getpid()}.{_UNFINISHED}'
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
    _sync_directory(os.path.dirname(path))


def _sync_directory(path: str) -> None:
    """The new name itself is on the disk only once its directory is; not every system can do this."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM):
            raise


def remove_unfinished(folder: str) -> list[str]:
    """Remove what a process that was killed while it wrote has left in a folder, and return those paths."""
    left = glob.glob(os.path.join(glob.escape(folder), f'*.{_UNFINISHED}'))
    for path in left:
        os.remove(path)
    return left


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


def find_resumable(work_dir: str) -> str | None:
    """The newest undamaged checkpoint of a work dir; None if there is none at all.

    First comes the one that ``last_checkpoint`` names, also after a move of the folder, then the others beside it from
    the highest number down; those above the named one, which an earlier run may have left, come last. One that is
    damaged is passed over with a warning. The first process decides for all.

    Raises:
        ValueError: there are checkpoints, and all are damaged, or the folder cannot be read. To start anew would not
            be what was meant.
    """
    result = [None, None]
    if is_main_process():
        try:
            result[0] = _first_undamaged(_candidates(work_dir), work_dir)
        except (ValueError, OSError) as error:  # the others wait for an answer
            result[1] = str(error)
    broadcast_object_list(result)
    path, problem = result
    if problem is not None:
        raise ValueError(problem)
    return path


def _first_undamaged(paths: list[str], work_dir: str) -> str | None:
    for path in paths:
        try:
            check_checkpoint_file(path)
            return path
        except (ValueError, OSError) as error:
            print_log(f'passed over, the checkpoint before is tried: {error}', 'current', logging.WARNING)
    if paths:
        raise ValueError(
            f'none of the {len(paths)} checkpoints of {work_dir} can be read, see the warnings above: '
            'to start anew, remove them or choose another --work-dir'
        )
    return None


def _candidates(work_dir: str) -> list[str]:
    named = _last_checkpoint(work_dir)
    folder, number = work_dir, -1
    if named is not None:
        moved = os.path.join(work_dir, os.path.basename(named))
        named = moved if os.path.isfile(moved) else named
        if os.path.isdir(os.path.dirname(named)):
            folder = os.path.dirname(named)
        number = _number(named)
    paths = [path for path in glob.glob(os.path.join(glob.escape(folder), '*')) if _is_periodic(path, named)]
    paths.sort(key=lambda path: (_number(path) <= number, _number(path)), reverse=True)
    if named in paths:
        paths.remove(named)
        paths.insert(0, named)
    return paths


def _last_checkpoint(work_dir: str) -> str | None:
    try:
        with open(os.path.join(work_dir, 'last_checkpoint'), encoding='utf-8', errors='replace') as file:
            return file.read().strip().replace('\0', '') or None
    except FileNotFoundError:
        return None


def _is_periodic(path: str, named: str | None) -> bool:
    """Whether the file is one of the series that is saved every so often."""
    pattern = r'(iter|epoch)_\d+\.pth'
    if named is not None:
        parts = re.split(r'\d+', os.path.basename(named))
        pattern += '|' + r'\d+'.join(map(re.escape, parts))
    return re.fullmatch(pattern, os.path.basename(path)) is not None


def _number(path: str) -> int:
    return int((re.findall(r'\d+', os.path.basename(path)) or [-1])[-1])


def to_plain(value: object) -> object:
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
