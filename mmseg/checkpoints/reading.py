"""Reading checkpoint files safely.

A checkpoint is the one file that users take from strangers. It is read by an unpickler of our own (``unpickling.py``),
which refuses every name but those of tensors, plain containers, and the few harmless classes that mmengine's training
state carries (``pickle_allowlist.py``). Damage is looked for first (``checksum.py``).
"""

import os

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .file_kinds import read_pickle, read_safetensors
from .naming import without_wrappers
from .remote import SCHEMES, local_file

# Where programs put the weights; those of averaged models count only where there are no others.
_NESTED = (
    *('state_dict', 'model', 'model_state_dict', 'module'),
    *('ema_state_dict', 'state_dict_ema', 'model_ema', 'ema'),
)


def load_checkpoint_file(path: str | os.PathLike, map_location: str | torch.device | None = 'cpu') -> dict:
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
    content = read_safetensors(path, device) if path.endswith('.safetensors') else read_pickle(path, device)
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


# mmengine.runner.load_checkpoint and everything built on it reads through us as well.
CheckpointLoader.register_scheme(prefixes=['', *SCHEMES], loader=load_checkpoint_file, force=True)
