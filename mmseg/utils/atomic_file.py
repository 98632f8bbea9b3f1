"""Files that are complete or not there at all."""

import errno
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove an open file
    fcntl = None  # type: ignore[assignment]

_UNFINISHED = 'unfinished'  # suffix of a file that is being written


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing bytes that appears under its name only when it is complete and on the disk.

    Whatever fails before, a file that was there under this name stays, and nothing half-written is left. Once the
    block ends without an error, the file survives a power cut.
    """
    path = os.path.abspath(path)
    temporary = f'{path}.{os.getpid()}.{_UNFINISHED}'
    try:
        with open(temporary, 'wb') as file:
            _lock(file)
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


def _lock(file) -> bool:
    """Mark an open file as one that a living process writes; False if another has. The lock ends with the process."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)  # or this file system knows no locks
    return True


def remove_unfinished(folder: str) -> list[str]:
    """Remove what a process that was killed while it wrote has left in a folder, and return those paths.

    What another process is writing at this moment stays.
    """
    left = []
    for path in glob.glob(os.path.join(glob.escape(folder), f'*.{_UNFINISHED}')):
        if not re.search(rf'\.\d+\.{_UNFINISHED}$', path):
            continue  # no name of ours
        with suppress(OSError):
            with open(path, 'rb') as file:
                abandoned = _lock(file)
            if abandoned:
                os.remove(path)
                left.append(path)
    return left
