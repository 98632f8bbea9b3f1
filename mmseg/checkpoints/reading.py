"""Reading checkpoint files safely.

A checkpoint is the one file that users take from strangers. It is read by an unpickler of our own (``unpickling.py``),
which refuses every name but those of tensors, plain containers, and the few harmless classes that mmengine's training
state carries (``pickle_allowlist.py``). Damage is looked for first (``checksum.py``).
"""

import json
import os
from typing import BinaryIO

import torch
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .checksum import check_archive, digest_of_tensors
from .naming import without_wrappers
from .pickle_allowlist import Refused
from .remote import SCHEMES, local_file
from .unpickling import foreign_names, read_torch_file

DIGEST, META = 'lrformer_sha256', 'meta'  # keys in the header of a .safetensors file
_ANOTHER = 'Take another copy of it, or an earlier checkpoint'
# Where programs put the weights; those of averaged models count only where there are no others.
_NESTED = (
    *('state_dict', 'model', 'model_state_dict', 'module'),
    *('ema_state_dict', 'state_dict_ema', 'model_ema', 'ema'),
)


def load_checkpoint_file(path: str, map_location: str | torch.device | None = 'cpu') -> dict:
    """Reads a ``.pth`` or ``.safetensors`` file. Any number of threads may do so at once.

    Args:
        path: the file, or its URL (see :func:`local_file`); weights may be bare or nested, as under ``state_dict``,
            ``model`` or ``ema_state_dict``, and their names may have what DDP, ``torch.compile`` and averaged models
            add.
        map_location: the device where tensors go; None for the CPU.

    Returns:
        The file's content with the weights under ``state_dict``, names without such additions.

    Raises:
        FileNotFoundError: there is no such file.
        ConnectionError: it cannot be downloaded.
        ValueError: the file is no checkpoint, is damaged, or holds a class that is not allowed.
    """
    device = torch.device('cpu' if map_location is None else map_location)
    path = local_file(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'checkpoint {path!r} does not exist; download it, '
            'or correct the path on the command line, in load_from or in init_cfg'
        )
    content = _read_safetensors(path, device) if path.endswith('.safetensors') else _read_pickle(path, device)
    if not isinstance(content, dict):
        raise ValueError(f'{path}: not a checkpoint: it holds a {type(content).__name__}, not a dict of weights')

    nested = next((key for key in _NESTED if _tensors_of(content.get(key))), None)
    weights = _tensors_of(content.pop(nested) if nested else content)
    if not weights:
        raise ValueError(
            f'{path}: not a checkpoint: no weights in it (found: {", ".join(map(str, list(content)[:5]))})'
        )
    named = {without_wrappers(name): value for name, value in weights.items()}
    if len(named) < len(weights):
        raise ValueError(f'{path}: it holds the weights of two models, with and without "module." in their names')
    return {**(content if nested else {}), 'state_dict': named}


def choose_weights(checkpoint: dict, which: str, source: str) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, or those of the last iteration; where it has one kind only, these.

    Args:
        checkpoint: from :func:`load_checkpoint_file`.
        which: 'ema' or 'last'.
        source: what to call the checkpoint in messages.

    Raises:
        ValueError: ``which`` is neither, or the last ones were left out when the checkpoint was published.
    """
    if which not in ('ema', 'last'):
        raise ValueError(f"weights={which!r} is neither 'ema', the averaged ones, nor 'last', of the last iteration")
    # mmengine's EMAHook saves the averaged weights in the model's place, and the model's in theirs.
    swapped = _tensors_of(checkpoint.get('ema_state_dict'))
    if which == 'ema' or not swapped:
        if which == 'last' and (checkpoint.get('meta') or {}).get('weights') == 'ema':
            raise ValueError(f"{source}: it was published with the averaged weights only: leave out weights='last'")
        return checkpoint['state_dict']
    last = {without_wrappers(name): value for name, value in swapped.items() if name.startswith('module.')}
    if not last:
        raise ValueError(f"{source}: its ema_state_dict is not of mmengine's EMAHook, so its last weights are unknown")
    return last


def _tensors_of(weights: object) -> dict[str, Tensor]:
    items = weights.items() if isinstance(weights, dict) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, Tensor)}


def check_checkpoint_file(path: str) -> None:
    """Look for damage in a local ``.pth`` or ``.safetensors`` file without loading it.

    Raises:
        ValueError: it is damaged, or no checkpoint; the message says how that shows.
        OSError: it cannot be read.
    """
    if os.fspath(path).endswith('.safetensors'):
        _read_safetensors(path, torch.device('cpu'))
        return
    with open(path, 'rb') as file:
        _check_archive(file, path)


def _check_archive(file: BinaryIO, path: str) -> None:
    try:
        check_archive(file)
    except ValueError as error:
        raise ValueError(f'{path}: not a PyTorch checkpoint, or damaged: {error}. {_ANOTHER}') from error


def _read_safetensors(path: str, device: torch.device) -> dict:
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


def _read_pickle(path: str, device: torch.device) -> object:
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


# mmengine.runner.load_checkpoint and everything built on it reads through us as well.
CheckpointLoader.register_scheme(prefixes=['', *SCHEMES], loader=load_checkpoint_file, force=True)
