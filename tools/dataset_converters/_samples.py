"""What the converters share that write images as well as label maps, of one source one or many."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.parallel import available_cpus, parallel_map
from mmseg.utils.progress import track

# A sample to write: names below the output folder -> pixels.
Written = Iterator[tuple[str, Callable[[], np.ndarray]]]


def run(description: str, kinds: Mapping[str, Callable[[Path], Iterable]], write: Callable[..., Written]) -> int:
    """Be a converter's command line: ``KIND DOWNLOAD OUT [--nproc N]``.

    Args:
        kinds: name -> lists the sources below a folder.
        write: gives the files that a source becomes.

    Returns:
        The exit code: 0, or 1 where something failed.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kind', choices=sorted(kinds))
    parser.add_argument('download', type=Path, help='folder of the unpacked download')
    parser.add_argument('out', type=Path, help='folder to write images and label maps into')
    parser.add_argument('--nproc', type=int, default=available_cpus(), help='processes (default: all CPUs)')
    args = parser.parse_args()
    sources = list(kinds[args.kind](args.download))
    if not sources:
        print(f'error: {args.download} has none of the files that a download of {args.kind} has', file=sys.stderr)
        return 1
    results = parallel_map(partial(_convert, write, args.out), sources, args.nproc)
    written, failures = 0, []
    for source, count, reason in track(results, len(sources), 'Converting', 'images'):
        written += count or 0
        if reason is not None:
            failures.append(f'failed: {source}: {reason}')
    print(f'{len(sources) - len(failures)} images converted, {written} files written, {len(failures)} failed.')
    print(*failures, sep='\n', end='\n' * bool(failures), file=sys.stderr)
    return 1 if failures else 0


def _convert(write: Callable[..., Written], out: Path, source: tuple) -> int:
    """Write what is not there yet; a file that is there is whole."""
    count = 0
    for name, pixels in write(*source):
        path = out / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(os.fspath(path)) as file:
            Image.fromarray(pixels()).save(file, format='PNG')
        count += 1
    return count
