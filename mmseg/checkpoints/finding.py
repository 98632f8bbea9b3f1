"""Which checkpoint of a work dir to resume from."""

import glob
import logging
import os
import re

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from .file_kinds import check_checkpoint_file


def find_resumable(work_dir: str) -> str | None:
    """The newest undamaged checkpoint of a work dir; None if there is none at all.

    First comes the one that ``last_checkpoint`` names, also after a move of the folder, then the others beside it from
    the highest number down; those above the named one, which an earlier run may have left, come last. One that is
    damaged is passed over with a warning. The first process decides for all.

    Raises:
        ValueError: there are checkpoints, and all are damaged, or the folder cannot be read. To start anew would not
            be what was meant.
    """
    result: list[str | None] = [None, None]
    if is_main_process():
        try:
            result[0] = _first_undamaged(_candidates(work_dir), work_dir)
        except (ValueError, OSError) as error:  # the others wait for an answer
            result[1] = str(error)
    broadcast_object_list(result)
    path, problem = result
    if problem is not None:
        raise ValueError(problem)
    return path


def _first_undamaged(paths: list[str], work_dir: str) -> str | None:
    for path in paths:
        try:
            check_checkpoint_file(path)
            return path
        except (ValueError, OSError) as error:
            print_log(f'passed over, the checkpoint before is tried: {error}', 'current', logging.WARNING)
    if paths:
        raise ValueError(
            f'none of the {len(paths)} checkpoints of {work_dir} can be read, see the warnings above: '
            'to start anew, remove them or choose another --work-dir'
        )
    return None


def _candidates(work_dir: str) -> list[str]:
    named = _last_checkpoint(work_dir)
    folder, number = work_dir, -1
    if named is not None:
        moved = os.path.join(work_dir, os.path.basename(named))
        named = moved if os.path.isfile(moved) else named
        if os.path.isdir(os.path.dirname(named)):
            folder = os.path.dirname(named)
        number = _number(named)
    paths = [path for path in glob.glob(os.path.join(glob.escape(folder), '*')) if _is_periodic(path, named)]
    paths.sort(key=lambda path: (_number(path) <= number, _number(path)), reverse=True)
    if named in paths:
        paths.remove(named)
        paths.insert(0, named)
    return paths


def _last_checkpoint(work_dir: str) -> str | None:
    try:
        with open(os.path.join(work_dir, 'last_checkpoint'), encoding='utf-8', errors='replace') as file:
            return file.read().strip().replace('\0', '') or None
    except FileNotFoundError:
        return None


def _is_periodic(path: str, named: str | None) -> bool:
    """Whether the file is one of the series that is saved every so often."""
    pattern = r'(iter|epoch)_\d+\.pth'
    if named is not None:
        parts = re.split(r'\d+', os.path.basename(named))
        pattern += '|' + r'\d+'.join(map(re.escape, parts))
    return re.fullmatch(pattern, os.path.basename(path)) is not None


def _number(path: str) -> int:
    return int((re.findall(r'\d+', os.path.basename(path)) or [-1])[-1])
