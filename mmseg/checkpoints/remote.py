"""Checkpoints that are elsewhere, downloaded once.

``https://...``, ``hf://OWNER/REPOSITORY[@REVISION]/FILE``, and by the names that mmsegmentation's configs use,
``torchvision://resnet50`` and ``open-mmlab://resnet50_v1c``.
"""

import hashlib
import json
import os
import re
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from difflib import get_close_matches
from http.client import HTTPException
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

import torch
from filelock import FileLock, Timeout
from mmengine.logging import print_log
from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.progress import track

from .checksum import digest_of_file
from .file_kinds import check_checkpoint_file
from .hub import hub_file

NAMES = {'torchvision': get_torchvision_models, 'open-mmlab': get_external_models, 'openmmlab': get_external_models}
SCHEMES = ('http://', 'https://', 'hf://', *(f'{scheme}://' for scheme in NAMES))
_HASH = re.compile(r'-([0-9a-f]{8,64})\.\w+$')  # torch's convention: name-0123abcd.pth
_DATE = re.compile(r'(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])$')  # name-20260131.pth
_CHUNK = 1 << 20
_TIMEOUT, _TRIES = 60, 3  # seconds without an answer; connections for one file


def is_remote(source: str | os.PathLike) -> bool:
    """Whether a checkpoint's name is a URL or a place on the hub."""
    return os.fspath(source).startswith(SCHEMES)


def local_file(source: str | os.PathLike) -> str:
    """The local file of a checkpoint: itself, or the copy in the cache, downloaded when first asked for.

    URLs are kept in ``torch.hub.get_dir()/checkpoints`` (``TORCH_HOME`` moves it), files of the hub in its own cache.
    Of several processes one downloads and the others wait.

    Raises:
        FileNotFoundError: there is no such file at the URL.
        ConnectionError: it cannot be reached; the message says where to put a copy.
        ValueError: its SHA-256 is not that in its name (``name-0123abcd.pth``), or not that of the first download.
    """
    source = os.fspath(source)
    if not is_remote(source):
        return source
    if source.startswith('hf://'):
        if not (found := re.fullmatch(r'hf://([^/@]+/[^/@]+)(?:@([^/]+))?/(.+)', source)):
            raise ValueError(f'{source!r} is not of the form hf://OWNER/REPOSITORY/FILE')
        repository, revision, name = found.groups()
        return hub_file(repository, name, revision)
    return _file_of_url(_url_of(source))


def _url_of(source: str) -> str:
    scheme, name = source.split('://', 1)
    if scheme not in NAMES:
        return source
    published = NAMES[scheme]()
    if name not in published:
        near = get_close_matches(name, published, n=3)
        raise FileNotFoundError(f'{source!r}: no such weights; near it are {", ".join(near) or "none"}')
    return published[name]


def _file_of_url(url: str) -> str:
    folder = os.path.join(torch.hub.get_dir(), 'checkpoints')
    os.makedirs(folder, exist_ok=True)
    name = re.sub(r'[^\w.-]', '_', os.path.basename(unquote(urlsplit(url).path))) or 'checkpoint'
    stem, suffix = os.path.splitext(name)
    origin = url.split('?')[0] if suffix else url  # behind a file's name the query only says who asks, and how
    hashed = _HASH.search(name)
    expected = hashed.group(1) if hashed and not _DATE.match(hashed.group(1)) else ''
    elsewhere = f'{stem}.{hashlib.sha256(origin.encode()).hexdigest()[:16]}{suffix}'
    for path in (os.path.join(folder, name), os.path.join(folder, elsewhere)):
        with _lock(path):
            if _facts(path).get('url', origin) != origin:
                continue  # the file of that name at another URL
            if not os.path.isfile(path):
                _download(url, origin, path, expected)
            break
    known = expected or _facts(path).get('sha256', '')
    found = digest_of_file(path) if known else ''
    if not found.startswith(known):
        raise ValueError(
            f'{path}: its SHA-256 is {found[:16]}..., that of {url} is {known[:16]}...: remove it to download it again'
        )
    return path


def _lock(path: str) -> AbstractContextManager:
    lock = FileLock(f'{path}.lock')
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        print_log(f'waiting for another process that downloads {path}', 'current')
        return lock.acquire()


def _facts(path: str) -> dict[str, str]:
    """Where a file of the cache came from, and its SHA-256; {} if somebody else put it there."""
    try:
        with open(f'{path}.json', encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def _download(url: str, origin: str, path: str, expected: str) -> None:
    print_log(f'downloading {url} to {path}', 'current')
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f'unfinished.{name}')  # the suffix tells its form
    try:
        with open(partial, 'wb') as file:
            _fetch(url, file, path)
            file.flush()
            os.fsync(file.fileno())
        digest = digest_of_file(partial)
        if not digest.startswith(expected):
            raise ValueError(f'{url}: refused: its SHA-256 begins with {digest[:16]}, not with {expected}')
        try:
            check_checkpoint_file(partial)
        except ValueError as error:
            reason = str(error).removeprefix(f'{partial}: ')
            raise ValueError(f'{url}: what the server sent is refused: {reason}') from error
        with atomic_write(f'{path}.json') as file:
            file.write(json.dumps({'url': origin, 'sha256': digest}).encode())
        os.replace(partial, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(partial)


def _fetch(url: str, file: BinaryIO, path: str) -> None:
    """Write what is at a URL into a file; go on where a connection broke, if the server can."""
    for tries in range(1, _TRIES + 1):
        headers = {'User-Agent': 'lrformer', **({'Range': f'bytes={file.tell()}-'} if file.tell() else {})}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
                if file.tell() and response.status != 206:
                    file.seek(0)
                    file.truncate()
                length = response.headers.get('Content-Length')
                left = int(length) if length else None
                for chunk in _chunks(response, left, os.path.basename(path)):
                    file.write(chunk)
                    left = left and left - len(chunk)
                if left:
                    raise ConnectionError(f'the connection broke {left} bytes before the end')
                return
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if isinstance(error, HTTPError) and error.code < 500:
                kind = FileNotFoundError if error.code in (404, 410) else ConnectionError
                raise kind(f'{url}: the server answered {error.code} {error.reason}') from error
            if tries == _TRIES:
                raise ConnectionError(
                    f'{url} cannot be downloaded: {getattr(error, "reason", error)}. '
                    f'Download it elsewhere and put it there: {path}'
                ) from error


def _chunks(response: BinaryIO, length: int | None, name: str) -> Iterator[bytes]:
    chunks = iter(lambda: response.read(_CHUNK), b'')
    return track(chunks, -(-length // _CHUNK), f'downloading {name}', unit='MiB') if length else chunks
