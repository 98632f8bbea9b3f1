"""How many pixels of which class each annotation of a dataset has: counted once, kept in memory and on the disk."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.image_file import UnreadableFileError
from mmseg.utils.parallel import available_cpus, parallel_map

from .transforms.base import count_labels
from .transforms.loading import LoadAnnotations

PER_PROCESS = 64  # files for which starting another process pays


def pixels_of_files(
    paths: Sequence[str], load: LoadAnnotations, rules: Mapping, skip_unreadable: bool = False
) -> list[dict[int, int]]:
    """The pixels of each class in each annotation, classes ascending, as a pipeline would load them.

    All CPUs take part; of several training processes on a machine each takes its share of them. The result is kept
    in ``~/.cache/lrformer`` (``$XDG_CACHE_HOME``), until a file or a rule changes.

    Args:
        paths: the annotation files.
        load: the step of the pipeline that loads them.
        rules: what a sample says about its labels: ``label_map``, ``reduce_zero_label``, ``ignore_index``, ...
        skip_unreadable: let files that cannot be read have no classes.

    Raises:
        ValueError: a file cannot be read, or holds labels outside of the classes.
    """
    cache = _cache_file(paths, repr((load, sorted(rules.items()), skip_unreadable)))
    if cache is not None:
        with suppress(OSError, ValueError):
            return [{int(name): pixels for name, pixels in one.items()} for one in json.loads(cache.read_bytes())]
    start = time.monotonic()
    count = partial(_pixels_of, load, dict(rules), skip_unreadable)
    share = available_cpus() // int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    found = []
    for _, pixels, reason in parallel_map(count, paths, max(1, min(share, len(paths) // PER_PROCESS))):
        if pixels is None:
            raise ValueError(f'the classes of each image cannot be counted: {reason}')
        found.append(pixels)
    print_log(f'counted the classes of {len(paths)} images in {time.monotonic() - start:.1f} s', logger='current')
    if cache is not None:
        with suppress(OSError):  # a cache that cannot be written is none
            cache.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(str(cache)) as file:
                file.write(json.dumps(found).encode())
    return found


def count_pixels(labels: np.ndarray, ignore_index: int) -> dict[int, int]:
    """Class -> pixels, of those that an annotation has, ascending."""
    values, counts = count_labels(labels)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v != ignore_index}


def _pixels_of(load: LoadAnnotations, rules: dict, skip_unreadable: bool, path: str) -> dict[int, int]:
    try:
        labels = load.transform({**rules, 'seg_map_path': path})['gt_seg_map']
    except (OSError, UnreadableFileError):
        if skip_unreadable:
            return {}
        raise
    return count_pixels(labels, rules['ignore_index'])


def _cache_file(paths: Sequence[str], settings: str) -> Path | None:
    """Where the result is kept; None for files that are not on a local disk."""
    digest = hashlib.blake2b(settings.encode(), digest_size=16)
    try:
        for path in paths:
            status = os.stat(path)
            digest.update(repr((os.path.abspath(path), status.st_size, status.st_mtime_ns)).encode())
    except OSError:
        return None
    root = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return root / 'lrformer' / 'pixels_of_files' / f'{digest.hexdigest()}.json'
