"""Files of the Hugging Face hub, through its own client: resumed downloads, shared cache, offline mode, mirrors."""

import os
from collections.abc import Callable, Sequence

from mmengine.logging import print_log

from mmseg.utils.atomic_file import atomic_write

from .checksum import digest_of_file

_TIMEOUT, _TRIES = 10, 3  # seconds to wait for an answer about a repository; connections for one file


class _NotCached(ConnectionError):
    """The hub was not reached at all."""


def hub_file(repository: str, name: str, revision: str | None = None) -> str:
    """The local copy of a file of the hub, downloaded when first asked for.

    ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and ``HF_HUB_CACHE`` hold. The SHA-256 of the first download is kept beside the
    cache: whatever comes under the same name later must be the same.

    Args:
        repository: OWNER/NAME.
        name: the file's path in it.
        revision: branch, tag or commit; the main branch without.

    Raises:
        FileNotFoundError: there is no such file or repository.
        ConnectionError: the hub cannot be reached, and the file is not in the cache.
        ValueError: the file is another one than at the first download.
    """
    from huggingface_hub import hf_hub_download  # here, as it is slow to import and seldom needed

    source = f'hf://{repository}{f"@{revision}" if revision else ""}/{name}'
    for tries_left in reversed(range(_TRIES)):
        try:
            path = _ask_hub(hf_hub_download, source, repository, name, revision=revision)
            break
        except ConnectionError as error:  # each try takes up the download where it broke
            if not tries_left or isinstance(error, _NotCached):
                raise
    _compare_with_first(path, source, f'{repository}@{revision or "main"}/{name}')
    return path


def hub_files(repository: str) -> list[str]:
    """The paths of all files of a repository, as the hub says, or if it cannot be asked, as it said last.

    Raises:
        FileNotFoundError: there is no such repository.
        ConnectionError: the hub cannot be reached, and was never asked before.
    """
    from huggingface_hub import HfApi

    try:
        facts = _ask_hub(HfApi().model_info, f'hf://{repository}', repository, timeout=_TIMEOUT)
    except ConnectionError:
        known = _recall(repository)
        if known is None:
            raise
        return known.splitlines()
    files = sorted(file.rfilename for file in facts.siblings or ())
    _keep(repository, '\n'.join(files))
    return files


def hub_folder(repository: str, names: Sequence[str], revision: str | None = None) -> str:
    """A local folder with these files of a repository, all of one commit, downloaded when first asked for.

    Without a network it is the commit that was current when the hub was asked last.

    Args:
        repository: OWNER/NAME.
        names: the files' paths in it.
        revision: branch, tag or commit; the main branch without.

    Raises:
        FileNotFoundError: there is no such repository, or it lacks one of the files.
        ConnectionError: the hub cannot be reached, and they are not in the cache.
    """
    from huggingface_hub import hf_hub_download

    for name in names:
        source = f'hf://{repository}{f"@{revision}" if revision else ""}/{name}'
        path = _ask_hub(hf_hub_download, source, repository, name, revision=revision)
        folder = path.removesuffix(name)
        revision = os.path.basename(os.path.dirname(folder))  # the cache has a folder for each commit
    return folder


def _ask_hub(function: Callable, source: str, *args, **options):
    """Call a function of the hub's client, and say in a line of our own what went wrong.

    Args:
        source: what was asked for, for messages.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return function(*args, **options)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        why = 'HF_HUB_OFFLINE is set' if constants.HF_HUB_OFFLINE else f'{constants.ENDPOINT} cannot be reached'
        raise _NotCached(f'{source} is not in the cache ({constants.HF_HUB_CACHE}), and {why}') from error
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise FileNotFoundError(f'{source}: not found at {constants.ENDPOINT}: {_first_line(error)}') from error
    except HFValidationError:  # a name that is none
        raise
    except Exception as error:  # the client's transport has changed more than once, and its errors with it
        raise ConnectionError(f'{source} cannot be had from {constants.ENDPOINT}: {_first_line(error)}') from error


def _compare_with_first(path: str, source: str, key: str) -> None:
    digest = digest_of_file(path)
    first = _recall(key)
    if first is None:
        _keep(key, digest)
    elif digest != first:
        raise ValueError(
            f'{source}: refused: its SHA-256 is {digest}, at the first download it was {first}. If the change is '
            f'meant, remove {_record(key)}; if the cached file was damaged, remove {os.path.realpath(path)}'
        )


def _record(key: str) -> str:
    """Where a fact about a repository or a file of it is kept."""
    from huggingface_hub import constants

    return os.path.join(constants.HF_HUB_CACHE, 'lrformer', key.replace('/', '--'))


def _recall(key: str) -> str | None:
    try:
        with open(_record(key), encoding='utf-8') as file:
            return file.read()
    except FileNotFoundError:
        return None


def _keep(key: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(_record(key)), exist_ok=True)
        with atomic_write(_record(key)) as file:
            file.write(text.encode())
    except OSError as error:  # a cache that is shared, and not ours to write
        print_log(f'{key}: what is known about it cannot be kept: {error}', 'current')


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
