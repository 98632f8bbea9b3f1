"""Checksums inside checkpoints: a damaged file is found out, or its damage changed nothing.

torch.save writes a zip archive with a CRC-32 of each entry, which torch.load does not compare, and which covers neither
the archive's directory nor what lies between entries. So a ``.pth`` gets the SHA-256 of all that torch.save wrote, as
the archive's comment. That is one file, not two that can be parted; zip tools, plain ``torch.load`` and its ``mmap``
read it as before; and the check is made before anything is unpickled. A ``.safetensors`` has no room after its end and
cannot hold the hash of its own header, so there it is the SHA-256 of names, types, shapes, values and metadata.

After any change of one byte or cut, one of these holds:

- it lies in what torch.save wrote, or in the digest: digest and content differ, the file is refused;
- it lies in the comment's mark, or cuts the comment short: the file no longer says that it has a checksum, and is read
  like one of foreign origin (below). All that torch.save wrote is still there.

A file of foreign origin has no such comment. Of a zip archive the CRC-32 of every entry is compared, unless whoever
wrote it turned those off. Before torch 1.6 files were bare pickles, of which only the structure can be checked.
"""

import hashlib
import json
import os
import struct
import zipfile
from typing import BinaryIO

import torch
from torch import Tensor

_MARK = b'lrformer sha256 '
_COMMENT = len(_MARK) + 64
_LENGTH = struct.pack('<H', _COMMENT)  # the last field of a zip archive before the comment


class _HashingFile:
    """What torch.save writes to: hashes all, and keeps the error for which torch raises a vague one of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            written = self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.digest.update(data)
        return written

    def flush(self) -> None:
        self.file.flush()


def save_with_checksum(content: object, file: BinaryIO) -> None:
    """``torch.save`` into an empty, seekable file, and the checksum of it.

    Raises:
        OSError: it could not be written.
    """
    hashing = _HashingFile(file)
    try:
        torch.save(content, hashing)  # type: ignore[arg-type] # no more of a file is asked for
    except RuntimeError as error:
        raise hashing.error or error from None
    file.seek(-len(_LENGTH), os.SEEK_CUR)
    file.write(_LENGTH + _MARK + hashing.digest.hexdigest().encode())


def check_archive(file: BinaryIO) -> None:
    """Compare a ``.pth`` file with its checksum, or without one with whatever can be checked.

    Raises:
        ValueError: it is damaged, or no checkpoint; the message says how that shows.
    """
    size = file.seek(0, os.SEEK_END)
    end = max(size - _COMMENT - len(_LENGTH), 0)
    file.seek(end)
    length, mark, digest = _split(file.read(), len(_LENGTH), len(_MARK))
    file.seek(0)
    start = file.read(4)
    has_checksum = mark == _MARK
    if has_checksum and (length != _LENGTH or digest != _digest_up_to(file, end).encode()):
        raise ValueError('its content differs from the checksum that it was saved with')
    if start == b'PK\x03\x04':
        _check_entries(file, compare=not has_checksum)
    elif not start.startswith(b'\x80'):  # such as tar archives, which torch 2.4 would unpack
        raise ValueError('it is neither a zip archive nor a pickle' if size else 'it is empty')


def _split(data: bytes, *lengths: int) -> list[bytes]:
    parts = []
    for length in lengths:
        parts.append(data[:length])
        data = data[length:]
    return [*parts, data]


def _digest_up_to(file: BinaryIO, end: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(min(end - file.tell(), 1 << 20)):
        digest.update(chunk)
    digest.update(b'\0\0')  # the length of the comment, before there was one
    return digest.hexdigest()


def _check_entries(file: BinaryIO, compare: bool) -> None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            # torch.serialization.set_crc32_options(False) leaves all of them at zero.
            compare = compare and any(entry.CRC for entry in entries)
            damaged = archive.testzip() if compare else None
            # torch's reader leaves what is marked a folder unread, and hands out whatever was in memory.
            folders = [entry.filename for entry in entries if entry.external_attr & 0x10 and entry.file_size]
    except Exception as error:  # zipfile has a dozen kinds for what can be wrong with an archive
        raise ValueError(str(error) or type(error).__name__) from error
    if damaged:
        raise ValueError(f'its entry {damaged} differs from the checksum that it was saved with')
    if folders:
        raise ValueError(f'its entry {folders[0]} is marked a folder but has content')
    if any(entry.filename.endswith('/constants.pkl') for entry in entries):
        raise ValueError('it is a TorchScript program, which can run code')  # torch 2.4 would load it even so


def digest_of_file(path: str) -> str:
    """SHA-256 of a whole file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def digest_of_tensors(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 of names, types, shapes and values on the CPU, and of all metadata."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
