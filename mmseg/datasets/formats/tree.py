"""The files of a folder or of a zip archive, by their names."""

import os
from collections import defaultdict
from functools import cached_property
from pathlib import PurePosixPath

from mmengine import fileio

from mmseg.utils.zip_files import PREFIX, zip_path

IMAGE_SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.npy', '.png', '.ppm', '.tif', '.tiff', '.webp')
SPLITS = {
    'train': ('train', 'training', 'trainset', 'trn', 'tra'),
    'val': ('val', 'valid', 'validation', 'valset', 'dev', 'eval'),
    'test': ('test', 'testing', 'testset'),
}
_SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}


class Tree:
    """What a folder, or an archive, holds.

    Args:
        root: the folder, or a ``.zip`` file.

    Attributes:
        root: where names start from, for :mod:`mmengine.fileio`; ``zip://ARCHIVE`` of an archive.
        files: all names relative to ``root``, with forward slashes, ascending. Hidden ones are left out.

    Raises:
        FileNotFoundError: there is no such folder or archive.
        ValueError: there are no files in it, or the archive is damaged.
    """

    def __init__(self, root: str) -> None:
        root = os.path.expanduser(root)
        if root.startswith(PREFIX) or (root.lower().endswith('.zip') and os.path.isfile(root)):
            archive = os.path.abspath(root.removeprefix(PREFIX))
            self.root = zip_path(archive)
            if not os.path.isfile(archive):
                raise FileNotFoundError(f'there is no archive {archive!r}')
        elif os.path.isdir(root):
            self.root = os.path.abspath(root)
        else:
            what = 'is a file, and neither a folder nor a .zip archive' if os.path.exists(root) else 'does not exist'
            raise FileNotFoundError(f'{root!r} {what}')
        found = (name.replace(os.sep, '/') for name in fileio.list_dir_or_file(self.root, False, recursive=True))
        self.files = sorted(name for name in found if not _is_hidden(name))
        if not self.files:
            raise ValueError(f'{root!r} holds no files')

    def path(self, name: str) -> str:
        """The path of a file, for :mod:`mmengine.fileio`."""
        return f'{self.root}/{name}'

    def read(self, name: str) -> bytes:
        """A file's content."""
        return fileio.get(self.path(name))

    def with_suffix(self, *suffixes: str) -> list[str]:
        """The files whose names end so, in upper or lower case."""
        return [name for name in self.files if name.lower().endswith(suffixes)]

    @cached_property
    def images(self) -> list[str]:
        """The files that are images by their suffix, label maps among them."""
        return self.with_suffix(*IMAGE_SUFFIXES)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        places = defaultdict(list)
        for name in self.images:
            places[PurePosixPath(name).name].append(name)
        return places

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        places = defaultdict(list)
        for name in self.images:
            places[PurePosixPath(name).stem].append(name)
        return places

    def find_image(self, text: str, beside: str = '') -> list[str]:
        """The images that an annotation file may mean by a name.

        Args:
            text: the name: a path on whichever machine, of which the longest ending that exists here counts.
            beside: the annotation file. Of several images of one name, one in its folder or of its split is meant.

        Returns:
            The image; several where it cannot be told; none where there is none.
        """
        wanted = PurePosixPath(text.replace('\\', '/'))
        found = self._by_name.get(wanted.name, []) or (
            [] if wanted.suffix.lower() in IMAGE_SUFFIXES else self._by_stem.get(wanted.name, [])
        )
        for depth in range(len(wanted.parts), 1, -1):
            ending = '/'.join(wanted.parts[-depth:]).lstrip('/')
            exact = [name for name in found if name == ending or name.endswith(f'/{ending}')]
            if exact:
                found = exact
                break
        if len(found) > 1 and beside:
            folder = PurePosixPath(beside).parent
            near = [name for name in found if PurePosixPath(name).parent == folder]
            near = near or [name for name in found if split_of(name) == split_of(beside) is not None]
            found = near or found
        return list(found)


def split_of(name: str) -> str | None:
    """'train', 'val' or 'test', where a folder of a path (or a list's own name) says so."""
    path = PurePosixPath(name)
    for word in (
        (path.stem, *reversed(path.parent.parts))
        if path.suffix in ('.txt', '.json', '.xml', '.csv')
        else (reversed(path.parent.parts))
    ):
        split, _ = strip_split(word)
        if split:
            return split
    return None


def strip_split(word: str) -> tuple[str | None, str]:
    """The split that a word of a path names, and what is left of the word: 'train2017' -> ('train', '')."""
    parts = _words(word)
    for part in parts:
        if part in _SPLIT_OF:
            return _SPLIT_OF[part], ''.join(other for other in parts if other != part)
    return None, word


def _words(text: str) -> list[str]:
    """The lower-case words of a name; figures behind one are no part of it."""
    words, current = [], ''
    for sign in text.lower():
        if sign.isalpha():
            current += sign
        elif current:
            words.append(current)
            current = ''
    return [*words, current] if current else words


def _is_hidden(name: str) -> bool:
    return any(part.startswith('.') or part == '__MACOSX' for part in name.split('/'))
