"""Where images come from: files, folders, globs, lists, pipes, memory, videos, cameras and streams.

All become entries, one for each image or video, each with the name that its results will bear.
"""

import difflib
import glob
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log

from mmseg.utils.text_file import read_lines

from .images import Image, describe

IMAGES = {
    *('.avif', '.bmp', '.dib', '.gif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm', '.png'),
    *('.pnm', '.ppm', '.ras', '.sr', '.tif', '.tiff', '.webp'),
}
VIDEOS = {'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.ogv', '.webm', '.wmv'}
LISTS = {'.lst', '.txt'}
STREAMS = re.compile(r'(rtsps?|rtmps?|https?|udp|tcp)://', re.IGNORECASE)
Input = Image | int | Iterable


@dataclass(frozen=True)
class Entry:
    """One image, or one video.

    Attributes:
        name: its results' name, with '/' between folders and without suffix.
        source: a file or address, a camera's number, or an image in memory.
        is_video: whether it has many frames.
    """

    name: str
    source: Any
    is_video: bool = False

    @property
    def file(self) -> str:
        """The file or address, '' for an image in memory and for a camera."""
        return self.source if isinstance(self.source, str) else ''

    @property
    def stamp(self) -> list | None:
        """What changes when the file does: path, size and time; None for what is no file."""
        if not self.file or '://' in self.file:
            return None
        try:
            facts = os.stat(self.file)
        except (OSError, ValueError):
            return [os.path.abspath(self.file)]
        return [os.path.abspath(self.file), facts.st_size, facts.st_mtime_ns]


class Source:
    """The entries of any inputs, in an order that does not change between runs.

    Args:
        inputs: one or several of: an image file; a folder, with all image files below it; a pattern such as
            'photos/**/*.jpg'; a list file (.txt, .lst) with one file name a line; '-' for names on stdin; an image in
            memory (array, PIL image, tensor); a video file; a camera's number; the address of a stream.
        skip: folders that are left out where they lie inside an input folder.

    Attributes:
        is_single: whether the input is one image, and no folder, pattern, list or video.

    Raises:
        FileNotFoundError: there is no such file, or a folder or pattern without images; the message names near ones.
    """

    def __init__(self, inputs: Input, skip: Sequence[str] = ()) -> None:
        self.skip = {os.path.realpath(folder) for folder in skip}
        self._groups: list[_Group] = []
        self._memory = 0
        alone: list[_Files] = []
        for given in [_Later(inputs)] if isinstance(inputs, Iterator) else _flat(inputs):
            given = os.fspath(given) if isinstance(given, os.PathLike) else given
            group = self._group(given)
            if group is None:
                group = _Files([given])
                alone.append(group)
            self._groups.append(group)
        if not self._groups:
            raise FileNotFoundError('no input: give files, folders, patterns, a list file or - for names on stdin')
        common = _common_folder([group.paths[0] for group in alone]) if alone else None
        for group in alone:
            group.base = common
        folders = [group for group in self._groups if isinstance(group, _Files) and group.what]
        for group in folders if len(folders) > 1 else []:
            group.prefix = os.path.basename(group.base.rstrip(os.sep)) or 'images'
        self.is_single = len(self._groups) == 1 and (bool(alone) or isinstance(self._groups[0], (_Memory, _Address)))

    def _group(self, given: Any) -> '_Group | None':
        """What an input stands for; None for a file of its own."""
        if isinstance(given, _Later):
            return given
        if isinstance(given, bool) or not isinstance(given, (str, int)):
            self._memory += 1
            return _Memory(given, self._memory - 1)
        if isinstance(given, int) or (given.isdigit() and not os.path.exists(given)):
            return _Video(f'camera-{given}', int(given))
        if given == '-':
            return _Files([line for line in (line.rstrip('\r\n') for line in sys.stdin) if line], 'stdin')
        if STREAMS.match(given):
            place = given.split('://', 1)[1].split('@')[-1].split('?')[0]
            name, suffix = os.path.splitext(re.sub(r'[^\w.-]+', '_', place).strip('_'))
            return _Address(name, given) if suffix.lower() in IMAGES else _Video(name + suffix, given)
        if os.path.isdir(given):
            return _Files(sorted(_below(given, self.skip)), f'folder {given!r}', base=given)
        if glob.has_magic(given) and not os.path.exists(given):
            found = (path for path in glob.iglob(given, recursive=True) if _suffix(path) in IMAGES | VIDEOS)
            outside = [path for path in found if not _is_inside(path, self.skip)]
            return _Files(sorted(outside), f'pattern {given!r}', base=_fixed_part(given))
        if not os.path.exists(given):
            raise FileNotFoundError(f'input {given!r} does not exist{_near(given)}')
        if _is_inside(given, self.skip):
            raise ValueError(f'input {given!r} lies among the results; give another output folder')
        if _suffix(given) in VIDEOS:
            return _Video(os.path.splitext(os.path.basename(given))[0], given)
        return _Files(read_lines(given), f'list {given!r}') if _suffix(given) in LISTS else None

    @property
    def is_endless(self) -> bool:
        """Whether a camera or stream is among them, whose end is not known."""
        return any(isinstance(group, _Video) and group.count is None for group in self._groups)

    @property
    def images(self) -> int | None:
        """How many images, frames of videos included; None where that is not known."""
        counts = [group.count for group in self._groups]
        return None if None in counts else sum(counts)

    def __iter__(self) -> Iterator[Entry]:
        taken: set[int] = set()
        for group in self._groups:
            for name, source, is_video in group:
                yield Entry(_free_name(name, source, taken), source, is_video)


class _Group:
    """Entries of one input: name, source and whether it is a video; ``count`` images, None if that is not known."""

    count: int | None = 1

    def __iter__(self) -> Iterator[tuple[str, Any, bool]]:
        raise NotImplementedError


class _Memory(_Group):
    def __init__(self, image: Any, number: int) -> None:
        self.image, self.number = image, number

    def __iter__(self):
        yield f'image_{self.number:06d}', self.image, False


class _Later(_Group):
    """Images from an iterator, each taken when its turn comes."""

    count = None

    def __init__(self, images: Iterator[Image]) -> None:
        self.images = images

    def __iter__(self):
        for number, image in enumerate(self.images):
            is_file = isinstance(image, (str, os.PathLike))
            name = os.path.splitext(os.path.basename(image))[0] if is_file else f'image_{number:06d}'
            yield name, os.fspath(image) if is_file else image, False


class _Address(_Group):
    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    def __iter__(self):
        yield self.name, self.address, False


class _Video(_Group):
    def __init__(self, name: str, source: str | int) -> None:
        self.name, self.source = name, source
        is_file = isinstance(source, str) and '://' not in source
        self.count = max(int(cv2.VideoCapture(source).get(cv2.CAP_PROP_FRAME_COUNT)), 0) if is_file else None

    def __iter__(self):
        yield self.name, self.source, True


class _Files(_Group):
    """Files whose results keep their folders below ``base``; ``what`` they come from, '' for one of its own."""

    prefix = ''

    def __init__(self, paths: Sequence[str], what: str = '', base: str | None = None) -> None:
        if not paths:
            raise FileNotFoundError(f'{what} has no image{"" if base is None else _other_files(base)}')
        self.paths, self.count, self.what = paths, len(paths), what
        self.base = _common_folder(paths) if base is None else base

    def __iter__(self):
        for path in self.paths:
            name = os.path.splitext(os.path.relpath(path, self.base or '.'))[0]
            name = '/'.join(part for part in (self.prefix, *name.split(os.sep)) if part not in ('', '.', '..'))
            yield name, path, _suffix(path) in VIDEOS


def frames(source: str | int) -> Iterator[np.ndarray]:
    """The frames of a video, camera or stream, H x W x 3, BGR.

    Raises:
        OSError: it cannot be opened, or has no frame.
    """
    video = cv2.VideoCapture(source)
    try:
        if not video.isOpened():
            kind = 'camera' if isinstance(source, int) else 'video'
            raise OSError(f'{kind} {source!r} cannot be opened')
        count = 0
        while True:
            there, frame = video.read()
            if not there:
                break
            count += 1
            yield frame
        if not count:
            raise OSError(f'video {source!r} has no frame that can be read')
    finally:
        video.release()


def frame_rate(source: str | int) -> float:
    """Frames a second, 25 where a video does not say."""
    video = cv2.VideoCapture(source)
    try:
        rate = video.get(cv2.CAP_PROP_FPS)
    finally:
        video.release()
    return rate if 1 <= rate <= 1000 else 25.0


def _flat(inputs: Input) -> Iterator[Any]:
    if isinstance(inputs, (list, tuple, Iterator)):
        for given in inputs:
            yield from _flat(given)
    else:
        yield inputs


def _below(folder: str, skip: set[str]) -> Iterator[str]:
    """All image files below a folder, links followed, hidden ones left out."""
    seen = set()
    for place, folders, files in os.walk(folder, onerror=_left_out, followlinks=True):
        facts = os.stat(place)
        if (facts.st_dev, facts.st_ino) in seen or os.path.realpath(place) in skip:
            folders[:] = []
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in files:
            if _suffix(name) in IMAGES and not name.startswith('.'):
                yield os.path.join(place, name)


def _left_out(error: OSError) -> None:
    print_log(f'left out: folder {error.filename!r} cannot be read: {error.strerror}', 'current', logging.WARNING)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _is_inside(path: str, folders: set[str]) -> bool:
    path = os.path.realpath(path)
    return any(path.startswith(folder + os.sep) for folder in folders)


def _common_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath({os.path.dirname(os.path.abspath(path)) for path in paths})


def _fixed_part(pattern: str) -> str:
    """The folder of a pattern before its first wildcard."""
    parts = pattern.split('/')
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return '/'.join(parts[:fixed]) or ('/' if pattern.startswith('/') else '.')


def _free_name(name: str, source: Any, taken: set[int]) -> str:
    """``name`` or, if an earlier image bears it (a.png after a.jpg), one like it."""
    with_suffix = name + os.path.splitext(source)[1] if isinstance(source, str) else name
    number, free = 1, name
    while hash(free) in taken:
        free = with_suffix if number == 1 and with_suffix != name else f'{name}_{number + 1}'
        number += 1
    taken.add(hash(free))
    return free


def _near(path: str) -> str:
    folder = os.path.dirname(path) or '.'
    if not os.path.isdir(folder):
        return f': there is no folder {folder!r}'
    near = difflib.get_close_matches(os.path.basename(path), os.listdir(folder), n=1)
    return f', did you mean {os.path.join(os.path.dirname(path), near[0])!r}?' if near else ''


def _other_files(folder: str) -> str:
    suffixes = sorted({os.path.splitext(name)[1] for _, _, names in os.walk(folder) for name in names} - {''})
    return f' (it holds {", ".join(suffixes[:5])} files)' if suffixes else ' (it is empty)'


def describe_source(source: Any) -> str:
    """A file's name or address, or what an image in memory is."""
    return source if isinstance(source, str) else str(source) if isinstance(source, int) else describe(source)
