"""torch's files read by a pickle reader of our own, which knows a fixed list of names and nothing else.

``torch.load(weights_only=True)`` has one allow-list for the whole process: what one thread allows for its file, every
other thread's file may use, and loses again. Here nothing is registered and nothing is shared, so any number of
threads may read at once, whatever is allowed or forbidden elsewhere.

The two forms that torch writes: a zip archive (``data.pkl``, one entry a storage), and before version 1.6 pickles in a
row with the storages behind them. Archives are read by Python's ``zipfile`` like the check before, so that both see
the same entries.
"""

import io
import pickle
import pickletools
import re
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, BinaryIO

import torch
from torch import Tensor

from .pickle_allowlist import CALLABLES, FILLED, INSTANCES, NAMES, Refused, Storage

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # by which files from before torch 1.6 begin
_ZIP = b'PK\x03\x04'
_USUAL = re.compile(r'(torch|numpy|collections\.OrderedDict|_codecs\.encode|mmengine\.logging)\b')
_RENAMED = {'__builtin__': 'builtins'}  # as Python 2 and old protocols call it
_CALLABLE = {id(function) for function in CALLABLES.values()}

# Instructions that make plain data, move it about on the stack, or remember it.
_PLAIN = (
    *('PROTO', 'FRAME', 'STOP', 'MARK', 'POP', 'POP_MARK', 'DUP', 'NONE', 'NEWTRUE', 'NEWFALSE', 'INT', 'BININT'),
    *('BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT', 'STRING', 'BINSTRING'),
    *('SHORT_BINSTRING', 'BINBYTES', 'BINBYTES8', 'SHORT_BINBYTES', 'BYTEARRAY8', 'UNICODE', 'BINUNICODE'),
    *('BINUNICODE8', 'SHORT_BINUNICODE', 'TUPLE', 'EMPTY_TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'EMPTY_LIST'),
    *('EMPTY_DICT', 'EMPTY_SET', 'FROZENSET', 'LIST', 'DICT', 'GET', 'BINGET', 'LONG_BINGET', 'PUT', 'BINPUT'),
    *('LONG_BINPUT', 'MEMOIZE', 'GLOBAL', 'STACK_GLOBAL', 'BINPERSID'),
)


def read_torch_file(file: BinaryIO, device: torch.device) -> object:
    """The content of a file by ``torch.save``, tensors on a device.

    Raises:
        Refused: it asks for what is not on the list; nothing was executed.
        Exception: of any kind, for a damaged file.
    """
    file.seek(0)
    is_archive = file.read(len(_ZIP)) == _ZIP
    file.seek(0)
    return _read_archive(file, device) if is_archive else _read_pickles(file, device)


class _Unpickler(pickle._Unpickler):
    """Python's, restricted in its instructions, in what these may act on, and in what a name can mean."""

    # What it has besides, and typeshed does not know.
    stack: list
    append: Callable[[object], None]
    pop_mark: Callable[[], list]
    readline: Callable[[], bytes]

    dispatch = {getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _PLAIN}

    def __init__(self, file: BinaryIO, storage: Callable[..., Storage] | None = None) -> None:
        super().__init__(file, encoding='utf-8')
        self.storage = storage

    def find_class(self, module: str, name: str) -> object:
        name = f'{_RENAMED.get(module, module)}.{name}'
        if name not in CALLABLES and name not in NAMES:
            raise Refused(name)
        return CALLABLES.get(name) or NAMES[name]

    def persistent_load(self, identifier: tuple) -> Storage:
        if self.storage is None or type(identifier) is not tuple or identifier[0] not in ('storage', b'storage'):
            raise pickle.UnpicklingError('a reference to something else than a storage')
        dtype, *rest = identifier[1:]
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError('a storage of no known type')
        return self.storage(dtype, *rest)

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode('ascii') for _ in range(2))
        raise Refused(f'{module}.{name}')  # an old way to call, which torch.save never writes

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        if id(self.stack[-1]) not in _CALLABLE or type(arguments) is not tuple:
            raise pickle.UnpicklingError(f'a call of {self.stack[-1]!r}')
        self.stack[-1] = self.stack[-1](*arguments)

    def load_newobj(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, type) or kind not in INSTANCES or arguments != ():
            raise pickle.UnpicklingError(f'a new {kind!r}')
        self.append(kind())

    def load_build(self) -> None:
        state = self.stack.pop()
        fill = FILLED.get(type(self.stack[-1]))
        if fill is None:
            raise pickle.UnpicklingError(f'a state for a {type(self.stack[-1]).__name__}')
        fill(self.stack[-1], state)

    def load_append(self) -> None:
        value = self.stack.pop()
        self._top(list).append(value)

    def load_appends(self) -> None:
        values = self.pop_mark()
        self._top(list).extend(values)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict, OrderedDict, Counter)[key] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        target = self._top(dict, OrderedDict, Counter)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value

    def load_additems(self) -> None:
        values = self.pop_mark()
        self._top(set).update(values)

    def _top(self, *kinds: type):
        if type(self.stack[-1]) not in kinds:
            raise pickle.UnpicklingError(f'items for a {type(self.stack[-1]).__name__}')
        return self.stack[-1]

    dispatch |= {
        getattr(pickle, function.__name__.removeprefix('load_').upper())[0]: function
        for function in (
            *(load_inst, load_reduce, load_newobj, load_build),
            *(load_append, load_appends, load_setitem, load_setitems, load_additems),
        )
    }


# ---- archives


def _read_archive(file: BinaryIO, device: torch.device) -> object:
    storages: dict[str, Tensor] = {}
    with zipfile.ZipFile(file) as archive:
        root = archive.namelist()[0].split('/')[0]

        def storage(dtype: torch.dtype, key: str, location: object, count: int) -> Storage:
            if key not in storages:
                storages[key] = _read_entry(archive, file, f'{root}/data/{key}').to(device)
            return Storage(storages[key].view(dtype)[:count])

        if f'{root}/byteorder' in archive.namelist():
            _require_byte_order(
                bytes(_read_entry(archive, file, f'{root}/byteorder').numpy()).decode() == sys.byteorder
            )
        instructions = _read_entry(archive, file, f'{root}/data.pkl').numpy().data
        return _Unpickler(io.BytesIO(instructions), storage).load()


def _read_entry(archive: zipfile.ZipFile, file: BinaryIO, name: str) -> Tensor:
    """An entry's bytes as a tensor; straight from the file where it is stored plainly, as torch does."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED:
        with archive.open(entry) as unpacked:
            return _read_bytes(unpacked, entry.file_size)
    file.seek(entry.header_offset)
    signature, name_size, extra_size = struct.unpack('<4s22xHH', file.read(30))
    if signature != _ZIP:
        raise zipfile.BadZipFile(f'entry {name} is not where the directory says')
    file.seek(name_size + extra_size, io.SEEK_CUR)
    return _read_bytes(file, entry.file_size)


def _read_bytes(file: IO[bytes], count: int) -> Tensor:
    """Bytes of a file as a tensor."""
    flat = torch.empty(count, dtype=torch.uint8)
    rest = flat.numpy().data
    while rest:
        read = file.readinto(rest)  # type: ignore[attr-defined] # which typeshed knows of some files only
        if not read:
            raise EOFError('it ends too early')
        rest = rest[read:]
    return flat


def _require_byte_order(same: bool) -> None:
    if not same:
        raise ValueError(f'it was written on a machine of another byte order than {sys.byteorder}-endian')


# ---- pickles in a row


def _read_pickles(file: BinaryIO, device: torch.device) -> object:
    if (magic := _Unpickler(file).load()) != _MAGIC:
        raise ValueError(f'it begins with {magic!r:.50}')
    if (protocol := _Unpickler(file).load()) != _PROTOCOL:
        raise ValueError(f'its protocol is {protocol!r:.50}')
    _require_byte_order(_Unpickler(file).load()['little_endian'] == (sys.byteorder == 'little'))
    start, size = file.tell(), file.seek(0, io.SEEK_END)
    storages: dict[str, Tensor] = {}

    def storage(dtype: torch.dtype, key: str, location: object, count: int, view: tuple | None = None) -> Storage:
        if key not in storages:
            if not 0 <= count * dtype.itemsize <= size:
                raise ValueError(f'a storage of {count} numbers in a file of {size} bytes')
            storages[key] = torch.empty(count, dtype=dtype)
        _, offset, length = view or (None, 0, count)
        return Storage(storages[key].view(dtype)[offset : offset + length])

    # The storages come behind what refers to them, so it is read twice: to know them, and to use them.
    file.seek(start)
    _Unpickler(file, storage).load()
    for key in _Unpickler(file).load():
        (count,) = struct.unpack('<q', file.read(8))
        if count != len(storages[key]):
            raise ValueError(f'its storage {key} has another size than it says')
        storages[key] = _read_bytes(file, storages[key].nbytes).view(storages[key].dtype).to(device)
    file.seek(start)
    return _Unpickler(file, storage).load()


# ---- what a file that cannot be read would have asked for


def foreign_names(file: BinaryIO) -> list[str]:
    """What a file's pickles would import that weights have no need of, by reading instructions, not following them."""
    names: list[str] = []
    stream = io.BytesIO(_instructions(file))
    with suppress(Exception):  # where the last pickle ends, or is damaged; what was found stands
        while True:
            names += _imports(stream)
    return [name for name in dict.fromkeys(names) if not _USUAL.match(name)]


def _instructions(file: BinaryIO) -> bytes:
    """The pickle of a checkpoint file, or as much of an old one as can tell."""
    file.seek(0)
    start = file.read(1 << 20)
    if not start.startswith(_ZIP):
        return start
    try:
        with zipfile.ZipFile(file) as archive:
            return b''.join(archive.read(name) for name in archive.namelist() if name.endswith('/data.pkl'))
    except (zipfile.BadZipFile, NotImplementedError):
        return b''


def _imports(stream: io.BytesIO) -> Iterator[str]:
    strings: list[str] = []
    remembered: dict[object, list[str]] = {}
    for instruction, argument, _ in pickletools.genops(stream):
        kind = instruction.name
        if kind in ('GLOBAL', 'INST'):
            yield str(argument).replace(' ', '.')
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
