"""What all converters share: one label image per source file; parallel, restartable, safe to run twice."""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg.utils.parallel import available_cpus, parallel_map
from mmseg.utils.progress import track

SHOWN_FAILURES = 50
SEE_TREE = 'docs/datasets.md shows the folders that are expected.'


def run(
    description: str,
    default_root: str,
    find_pairs: Callable[[Path], list[tuple[Path, Path]]],
    to_labels: Callable[[Path], np.ndarray],
) -> int:
    """Be a converter's command line: ``[ROOT] [--nproc N] [--overwrite]``.

    Args:
        find_pairs: gives the (source, target) files under the dataset's root.
        to_labels: reads one source, see ``convert_all``.

    Returns:
        The exit code: 0, or 1 where something failed.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', nargs='?', type=Path, default=Path(default_root), help='default: %(default)s')
    parser.add_argument('--nproc', type=int, default=available_cpus(), help='processes (default: all CPUs)')
    parser.add_argument('--overwrite', action='store_true', help='convert again what is already converted')
    args = parser.parse_args()
    if args.nproc < 1:
        parser.error(f'--nproc must be at least 1, got {args.nproc}')
    try:
        return convert_all(find_pairs(args.root), to_labels, args.nproc, args.overwrite)
    except (FileNotFoundError, ImportError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Interrupted. What is converted stays; the same command goes on from there.', file=sys.stderr)
        return 130


def find_sources(folder: Path, pattern: str, exclude: str = '') -> list[Path]:
    """List the files under ``folder`` that match ``pattern``, sorted; those that end in ``exclude`` left out.

    Raises:
        FileNotFoundError: no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'Folder not found: {folder}. {SEE_TREE}')
    found = sorted(
        path
        for path in folder.glob(pattern)
        if not path.name.startswith('.') and not (exclude and path.name.endswith(exclude))
    )
    if not found:
        raise FileNotFoundError(f'No file {pattern} in {folder}. {SEE_TREE}')
    return found


def convert_all(
    pairs: list[tuple[Path, Path]],
    to_labels: Callable[[Path], np.ndarray],
    nproc: int,
    overwrite: bool = False,
) -> int:
    """Write ``to_labels(source)`` (uint8, H x W) as a PNG to ``target`` for every (source, target).

    A target that exists is finished, since it appears under its name only when complete: it is skipped unless
    ``overwrite``. A source that fails is reported at the end, and the others go on.

    Returns:
        The exit code: 0, or 1 where a source failed.
    """
    todo = [(source, target) for source, target in pairs if overwrite or not target.exists()]
    if len(todo) < len(pairs):
        print(f'{len(pairs) - len(todo)} of {len(pairs)} files are converted already; --overwrite redoes them.')
    results = parallel_map(partial(_convert, to_labels), todo, nproc)
    failures = [
        (source, reason)
        for (source, _), _, reason in track(results, len(todo), 'Converting', 'files')
        if reason is not None
    ]
    print(f'{len(todo) - len(failures)} files converted, {len(failures)} failed.')
    for source, reason in failures[:SHOWN_FAILURES]:
        print(f'failed: {source}: {reason}', file=sys.stderr)
    if len(failures) > SHOWN_FAILURES:
        print(f'... and {len(failures) - SHOWN_FAILURES} more.', file=sys.stderr)
    return 1 if failures else 0


def _convert(to_labels, pair: tuple[Path, Path]) -> None:
    source, target = pair
    labels = to_labels(source)
    # The process id keeps two runs at the same time out of each other's way.
    temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
    try:
        Image.fromarray(labels).save(temporary, format='PNG')
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
