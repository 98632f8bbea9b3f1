"""All that a checkpoint's pickle may name, and what answers to each name.

Nothing is looked up by its name: of torch, NumPy and Python only what stands here can be reached, and most of it is a
stand-in that checks what it is given. mmengine saves its log as history buffers of NumPy arrays, so published files
name these classes though weights have no need of them. NumPy's own are not handed out: a pickle may set the flags of
``numpy.dtype``, and with the flag "holds objects" NumPy takes the bytes of an array for addresses.
"""

import pickle
from argparse import Namespace
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn

_NUMBERS = ('f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'i1', 'u8', 'u4', 'u2', 'u1', 'b1')
_STATISTICS = ('min', 'max', 'current', 'mean')


class Refused(pickle.UnpicklingError):
    """A pickle asks for what it may not have; the message is its name."""


class Storage:
    """The numbers that tensors are views of, as torch's files store them."""

    def __init__(self, flat: Tensor) -> None:
        self.flat = flat  # one-dimensional


# ---- tensors


def _tensor(storage: Storage, offset: int, size: tuple, stride: tuple, requires_grad=False, hooks=None, metadata=None):
    return _view(storage, offset, size, stride, requires_grad, None, metadata)


def _tensor_of_type(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None) -> Tensor:
    return _view(storage, offset, size, stride, requires_grad, dtype, metadata)


def _view(storage, offset, size, stride, requires_grad, dtype: torch.dtype | None, metadata) -> Tensor:
    if type(storage) is not Storage or metadata:
        raise Refused('torch._utils._rebuild_tensor of something else than numbers')
    flat = storage.flat if dtype is None else storage.flat.view(dtype)
    return torch.as_strided(flat, tuple(size), tuple(stride), offset).requires_grad_(requires_grad is True)


def _parameter(data: Tensor, requires_grad: bool, hooks: object, state: object = None) -> nn.Parameter:
    return nn.Parameter(data, requires_grad is True)  # its Python attributes are no weights


def _tensor_without_attributes(rebuild: Callable, kind: type, arguments: tuple, state: object) -> Tensor:
    if rebuild not in (_tensor, _tensor_of_type):
        raise Refused('torch._tensor._rebuild_from_type_v2 of something else than a tensor')
    return rebuild(*arguments)


# ---- NumPy's arrays, and mmengine's history of them


class Number:
    """Stands in for ``numpy.dtype``: a number's type and byte order."""

    def __init__(self, kind: str, align: bool = False, copy: bool = False) -> None:
        if kind not in _NUMBERS:
            raise Refused(f'numpy.dtype({kind!r})')
        self.dtype = np.dtype(kind)

    def restore(self, state: tuple) -> None:
        version, order, *others = state
        if order not in ('<', '>', '|', '=') or others != [None, None, None, -1, -1, 0]:
            raise Refused(f'numpy.dtype with the state {state!r}')
        self.dtype = self.dtype.newbyteorder(order)


def _empty_array(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    if kind is not np.ndarray or shape != (0,):
        raise Refused(f'numpy._reconstruct of {kind!r} with the shape {shape!r}')
    return np.empty(0)


def _fill_array(array: np.ndarray, state: tuple) -> None:
    version, shape, number, by_columns, content = state
    if type(number) is not Number or type(content) is not bytes:
        raise Refused('numpy.ndarray of something else than numbers')
    array.__setstate__((version, shape, number.dtype, by_columns, content))


def _array_of_bytes(content: bytes, number: Number, shape: tuple, order: Literal['A', 'C', 'F']) -> np.ndarray:
    if type(number) is not Number or type(content) not in (bytes, bytearray):
        raise Refused('numpy.frombuffer of something else than numbers')
    return np.frombuffer(bytearray(content), number.dtype).reshape(shape, order=order)


def _scalar(number: Number, content: bytes) -> np.generic:
    if type(number) is not Number or type(content) is not bytes or len(content) != number.dtype.itemsize:
        raise Refused('numpy.scalar of something else than a number')
    return np.frombuffer(content, number.dtype)[0]


def _statistics_method(owner: type, name: str) -> Callable:
    """Stands in for ``getattr``, by which pickled history buffers name their four statistics."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise Refused(f'getattr({owner}, {name!r})')
    return vars(HistoryBuffer)[name]


def _fill_history(buffer: HistoryBuffer, state: dict) -> None:
    # Its own __setstate__ would add the file's functions to those of all history buffers.
    vars(buffer).update((key, value) for key, value in state.items() if key in vars(buffer))


# ---- Python's


def _bytearray(*arguments) -> bytearray:
    if arguments and type(arguments[0]) not in (bytes, str):
        raise Refused(f'bytearray of a {type(arguments[0]).__name__}')  # a number would ask for that much memory
    return bytearray(*arguments)


def _no_bytes() -> bytes:
    """Stands in for ``bytes``, by which old pickles write empty ones."""
    return b''


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for ``codecs.encode``, by which old pickles write bytes."""
    if encoding != 'latin1':
        raise Refused(f'codecs.encode to {encoding!r}')
    return text.encode('latin1')


def _fill_ordered_dict(dictionary: OrderedDict, state: dict) -> None:
    vars(dictionary).update((key, value) for key, value in state.items() if key == '_metadata')  # of a state_dict


def _fill_namespace(namespace: Namespace, state: dict) -> None:
    vars(namespace).update(state)  # a training script's options, as timm's and DINO's keep them


# ---- the names

_STORAGES = {
    **{'Double': 'float64', 'Float': 'float32', 'Half': 'float16', 'BFloat16': 'bfloat16'},
    **{'Long': 'int64', 'Int': 'int32', 'Short': 'int16', 'Char': 'int8', 'Byte': 'uint8', 'Bool': 'bool'},
    **{'ComplexDouble': 'complex128', 'ComplexFloat': 'complex64'},
}

# What a pickle may call.
CALLABLES: dict[str, Callable] = {
    **dict.fromkeys(('torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2'), _tensor),
    'torch._utils._rebuild_tensor_v3': _tensor_of_type,
    'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_parameter_with_state': _parameter,
    'torch._tensor._rebuild_from_type_v2': _tensor_without_attributes,
    'torch.Size': torch.Size,
    'torch.device': torch.device,
    'collections.OrderedDict': OrderedDict,
    'collections.Counter': Counter,
    'builtins.set': set,
    'builtins.frozenset': frozenset,
    'builtins.complex': complex,
    'builtins.bytearray': _bytearray,
    'builtins.bytes': _no_bytes,
    'builtins.getattr': _statistics_method,
    '_codecs.encode': _encode,
    'numpy.dtype': Number,
    # NumPy 2 moved these three; files name the place of the NumPy that wrote them.
    **{f'numpy.{core}.multiarray._reconstruct': _empty_array for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': _scalar for core in ('core', '_core')},
    **{f'numpy.{core}.numeric._frombuffer': _array_of_bytes for core in ('core', '_core')},
}

_HISTORY = f'{HistoryBuffer.__module__}.HistoryBuffer'

# What a pickle may only mention.
NAMES: dict[str, object] = {
    **{f'torch.{name}Storage': getattr(torch, dtype) for name, dtype in _STORAGES.items()},
    'torch.storage.UntypedStorage': torch.uint8,
    **{f'torch.{name}': value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
    'torch.Tensor': Tensor,
    'torch.nn.parameter.Parameter': nn.Parameter,
    'torch.nn.parameter.Buffer': Tensor,
    'numpy.ndarray': np.ndarray,
    'argparse.Namespace': Namespace,
    _HISTORY: HistoryBuffer,
    **{f'{_HISTORY}.{name}': vars(HistoryBuffer)[name] for name in _STATISTICS},
}

# What a pickle may make an instance of, and what it may fill with a state of its own.
INSTANCES = {HistoryBuffer, Namespace}
FILLED: dict[type, Callable] = {
    HistoryBuffer: _fill_history,
    Namespace: _fill_namespace,
    OrderedDict: _fill_ordered_dict,
    Number: Number.restore,
    np.ndarray: _fill_array,
}
