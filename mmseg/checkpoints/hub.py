"""Files of the Hugging Face hub, through its own client: resumed downloads, shared cache, offline mode, mirrors."""

import os
from contextlib import suppress

from mmengine.logging import print_log

from mmseg.utils.atomic_file import atomic_write

from .checksum import digest_of_file


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
    path = ask_hub(hf_hub_download, source, repository, name, revision=revision)
    _compare_with_first(path, source, f'{repository}@{revision or "main"}/{name}')
    return path


def ask_hub(function, source: str, *args, **options):
    """Call a function of the hub's client, and say in a line of our own what went wrong.

    Args:
        source: what was asked for, for messages.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return function(*args, **options)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        why = 'HF_HUB_OFFLINE is set' if constants.HF_HUB_OFFLINE else f'{constants.ENDPOINT} cannot be reached'
        raise ConnectionError(f'{source} is not in the cache ({constants.HF_HUB_CACHE}), and {why}') from error
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise FileNotFoundError(f'{source}: not found at {constants.ENDPOINT}: {_first_line(error)}') from error
    except (HfHubHTTPError, OSError) as error:
        raise ConnectionError(f'{source} cannot be had from {constants.ENDPOINT}: {_first_line(error)}') from error


def _compare_with_first(path: str, source: str, key: str) -> None:
    from huggingface_hub import constants

    record = os.path.join(constants.HF_HUB_CACHE, 'lrformer-sha256', key.replace('/', '--'))
    digest = digest_of_file(path)
    try:
        with open(record, encoding='ascii') as file:
            first = file.read().strip()
    except FileNotFoundError:
        first = digest
        try:
            with suppress(FileExistsError):
                os.makedirs(os.path.dirname(record))
            with atomic_write(record) as file:
                file.write(digest.encode())
        except OSError as error:  # a cache that is shared, and not ours to write
            print_log(f'{source}: its SHA-256 {digest} cannot be kept: {error}', 'current')
    if digest != first:
        raise ValueError(
            f'{source}: refused: its SHA-256 is {digest}, at the first download it was {first}. If the change is '
            f'meant, remove {record}; if the cached file was damaged, remove {os.path.realpath(path)}'
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
