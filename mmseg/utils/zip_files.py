"""Files inside of zip archives, read in place: paths such as ``zip://data/pets.zip/images/a.jpg``.

Any path of a config may be one, as mmengine finds the reader of a path by what stands before ``://``.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from mmengine.fileio import BaseStorageBackend, register_backend

PREFIX = 'zip://'
OPEN_ARCHIVES = 16  # that a process keeps


def zip_path(archive: str | Path) -> str:
    """The path that stands for the inside of an archive."""
    return f'{PREFIX}{archive}'


@register_backend('zip', prefixes='zip')
class ZipBackend(BaseStorageBackend):
    """mmengine's file backend for ``zip://ARCHIVE.zip/FILE``.

    Raises (all methods):
        FileNotFoundError: there is no such archive or no such file in it.
        ValueError: the archive is damaged, or what is before ``://`` is followed by no ``.zip``.
    """

    def get(self, filepath: str | Path) -> bytes:
        """A file's content."""
        archive, name = _split(filepath)
        opened = _open(archive)
        if name not in opened.files:
            raise FileNotFoundError(f'{archive!r} holds no file {name!r}')
        try:
            return opened.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
            raise ValueError(f'{name!r} in {archive!r} is damaged ({error}): fetch the archive again') from None

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """A file's content as text."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str | Path) -> bool:
        """Whether there is such a file or folder."""
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: str | Path) -> bool:
        """Whether there is such a file."""
        archive, name = _split(filepath)
        return os.path.isfile(archive) and name in _open(archive).files

    def isdir(self, filepath: str | Path) -> bool:
        """Whether there is such a folder; the archive itself is one."""
        archive, name = _split(filepath)
        return os.path.isfile(archive) and (not name or name in _open(archive).folders)

    def join_path(self, filepath: str | Path, *filepaths: str | Path) -> str:
        """A path below another one."""
        return '/'.join([os.fspath(filepath).rstrip('/'), *(os.fspath(part).strip('/') for part in filepaths if part)])

    def list_dir_or_file(
        self,
        dir_path: str | Path,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """What is in a folder, relative to it."""
        archive, folder = _split(dir_path)
        opened, start = _open(archive), f'{folder}/' if folder else ''
        for names, wanted in ((opened.folders, list_dir), (opened.files, list_file)):
            for name in names if wanted else ():
                rest = name[len(start) :]
                if name.startswith(start) and rest and (recursive or '/' not in rest) and rest.endswith(suffix or ''):
                    yield rest


class _Archive:
    """An open archive: its files, and the folders that their names make."""

    def __init__(self, path: str) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f'{path!r} is no zip archive, or its end is missing ({error}): fetch it again. A list of what an '
                'archive holds stands at its end'
            ) from None
        names = (info.filename.rstrip('/') for info in self._zip.infolist() if not info.is_dir())
        self.files = {name: None for name in sorted(names) if not name.startswith('__MACOSX/')}
        self.folders = {'/'.join(name.split('/')[:depth]): None for name in self.files for depth in _depths(name)}

    def read(self, name: str) -> bytes:
        return self._zip.read(name)


def _depths(name: str) -> range:
    return range(1, name.count('/') + 1)


def _split(path: str | Path) -> tuple[str, str]:
    """The archive, and the name in it."""
    text = os.fspath(path).removeprefix(PREFIX)
    start = text.lower().find('.zip/')
    if start < 0 and not text.lower().endswith('.zip'):
        raise ValueError(f'{str(path)!r} names no archive: write zip://ARCHIVE.zip/FILE')
    archive, name = (text, '') if start < 0 else (text[: start + 4], text[start + 5 :])
    parts = os.path.normpath(name).replace(os.sep, '/') if name.strip('/') else ''
    return os.path.expanduser(archive), '' if parts == '.' else parts.strip('/')


def _open(archive: str) -> _Archive:
    status = os.stat(archive)
    # By process as well: those that are forked would share, and move, one place in the file.
    return _opened(archive, os.getpid(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=OPEN_ARCHIVES)
def _opened(archive: str, pid: int, mtime: int, size: int) -> _Archive:
    return _Archive(archive)
