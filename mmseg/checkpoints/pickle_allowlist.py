"""The few classes, beside torch's own, that a checkpoint's pickle may name.

mmengine saves its log as history buffers of NumPy arrays, so published files name these classes though weights have
no need of them. NumPy's own are not handed out: a pickle may set the flags of ``numpy.dtype``, and with the flag
"holds objects" NumPy takes the bytes of an array for addresses. What answers to their names here checks its state.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from mmengine.logging import HistoryBuffer

_NUMBERS = ('f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'i1', 'u8', 'u4', 'u2', 'u1', 'b1')
_USUAL = re.compile(r'(torch|numpy|collections\.OrderedDict|_codecs\.encode|mmengine\.logging)\b')


def allowed_classes() -> list:
    """For :func:`torch.serialization.add_safe_globals`: history buffers of numbers, by every name they come under."""
    return [
        *(HistoryBuffer, _Array, _Number),
        *(_named(_statistics_method, module, 'getattr') for module in ('builtins', '__builtin__')),
        *(_named(_no_bytes, module, 'bytes') for module in ('builtins', '__builtin__')),
        _named(_encode, '_codecs', 'encode'),
        # NumPy 2 moved these two; files name the place of the NumPy that wrote them.
        *(_named(_empty_array, f'numpy.{core}.multiarray', '_reconstruct') for core in ('core', '_core')),
        *(_named(_scalar, f'numpy.{core}.multiarray', 'scalar') for core in ('core', '_core')),
    ]


def _refuse(what: str):
    raise pickle.UnpicklingError(f'GLOBAL {what} was not an allowed global')


def _named(function, module: str, name: str):
    """The function under the name by which a pickle asks for it."""

    def alias(*args):
        return function(*args)

    alias.__module__, alias.__name__, alias.__qualname__ = module, name, name
    return alias


class _Number:
    """Stands in for ``numpy.dtype``: a number's type and byte order."""

    def __init__(self, kind: str, align: bool = False, copy: bool = False) -> None:
        if kind not in _NUMBERS:
            _refuse(f'numpy.dtype({kind!r})')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        version, order, *others = state
        if order not in ('<', '>', '|', '=') or others != [None, None, None, -1, -1, 0]:
            _refuse(f'numpy.dtype with the state {state!r}')
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """Stands in for ``numpy.ndarray``: an array of numbers."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, number, by_columns, content = state
        if type(number) is not _Number or type(content) is not bytes:
            _refuse('numpy.ndarray of something else than numbers')
        super().__setstate__((version, shape, number.dtype, by_columns, content))

    def __reduce_ex__(self, protocol: int):
        return self.view(np.ndarray).__reduce_ex__(protocol)  # saved again, it is an array like any other


for stand_in, name in ((_Array, 'ndarray'), (_Number, 'dtype')):
    stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = 'numpy', name, name


def _empty_array(kind: type, shape: tuple, code: bytes) -> _Array:
    if kind is not _Array or shape != (0,):
        _refuse(f'numpy._reconstruct of {kind!r} with the shape {shape!r}')
    return np.empty(0).view(_Array)


def _scalar(number: _Number, content: bytes) -> np.generic:
    if type(number) is not _Number or type(content) is not bytes or len(content) != number.dtype.itemsize:
        _refuse('numpy.scalar of something else than a number')
    return np.frombuffer(content, number.dtype)[0]


def _no_bytes() -> bytes:
    """Stands in for ``bytes``, by which old pickles write empty ones."""
    return b''


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for ``codecs.encode``, by which old pickles write bytes (torch 2.4 does not allow it by itself)."""
    if encoding != 'latin1':
        _refuse(f'codecs.encode to {encoding!r}')
    return text.encode('latin1')


def _statistics_method(owner: type, name: str):
    """Stands in for ``getattr``, by which pickled history buffers name their four statistics."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        _refuse(f'getattr({owner}, {name!r})')
    return vars(HistoryBuffer)[name]


def foreign_names(content: bytes) -> list[str]:
    """What pickles in a row would import that weights have no need of, by reading instructions, not following them."""
    names, stream = [], io.BytesIO(content)
    with suppress(Exception):  # where the last pickle ends, or is damaged; what was found stands
        while True:
            names += _imports(stream)
    return [name for name in dict.fromkeys(names) if not _USUAL.match(name)]


def _imports(stream: io.BytesIO) -> Iterator[str]:
    strings, remembered = [], {}
    for instruction, argument, _ in pickletools.genops(stream):
        kind = instruction.name
        if kind in ('GLOBAL', 'INST'):
            yield argument.replace(' ', '.')
        elif kind == 'STACK_GLOBAL':  # takes module and name from the stack
            yield '.'.join(strings[-2:])
        elif isinstance(argument, str):
            strings.append(argument)
        elif kind == 'MEMOIZE':
            remembered[len(remembered)] = strings[-1:]
        elif kind in ('PUT', 'BINPUT', 'LONG_BINPUT'):
            remembered[argument] = strings[-1:]
        elif kind in ('GET', 'BINGET', 'LONG_BINGET'):
            strings += remembered.get(argument, [])
