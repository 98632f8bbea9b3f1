"""The files of a dataset: which images and label maps there are, and whether each has its other half."""

import errno
import os.path as osp
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmengine.fileio import exists, isdir, list_dir_or_file

from mmseg.utils.text_file import read_lines

SHOWN = 5  # how many offenders an error message names


@dataclass(frozen=True)
class FoundFiles:
    """The files of a dataset, before it is known whether they are complete.

    Attributes:
        names: NAME of each sample, in order: those of the split file, or of all images.
        images: NAME -> image, relative to its folder, of all images there.
        image_files: all files of the image folder, whatever they are.
        label_files: all files of the label map folder; None for a dataset without label maps.
    """

    names: list[str]
    images: dict[str, str]
    image_files: list[str]
    label_files: list[str] | None


def given_folders(data_prefix: Mapping) -> dict[str, str]:
    """``data_prefix`` without the folders that a config sets to None.

    Raises:
        ValueError: it has no image folder, an unknown key, or several folders in the place of one.
    """
    unknown = set(data_prefix) - {'img_path', 'seg_map_path'}
    if unknown or data_prefix.get('img_path') is None:
        raise ValueError(
            f'data_prefix={dict(data_prefix)} must have img_path (image folder) and may have '
            f'seg_map_path (label map folder); unknown: {sorted(unknown)}'
        )
    for key, path in data_prefix.items():
        if isinstance(path, (list, tuple)):
            raise ValueError(
                f'data_prefix.{key}={path!r} must be one folder; to join several, write a dataset for each and '
                "dict(type='ConcatDataset', datasets=[...]) around them"
            )
    return {key: path for key, path in data_prefix.items() if path is not None}


@dataclass(frozen=True)
class Places:
    """Where the files of a dataset lie.

    Attributes:
        dataset: name of its type, for messages.
        data_root: folder that relative paths start from.
        given: ``img_path`` and, in a dataset with label maps, ``seg_map_path``, as the config has them.
        folders: the same behind ``data_root``.
        ann_file: the split file; '' takes all images.
        img_suffix: ending of image names, or several of them.
        seg_map_suffix: ending of label map names.
        backend_args: mmengine's file backend; None is the local disk.
        preparation: command that writes the label maps, quoted when they are missing.
    """

    dataset: str
    data_root: str
    given: Mapping[str, str]
    folders: Mapping[str, str]
    ann_file: str
    img_suffix: str | Sequence[str]
    seg_map_suffix: str
    backend_args: dict | None
    preparation: str

    def find(self) -> FoundFiles:
        """List the files with one walk over each folder.

        Raises:
            FileNotFoundError: a folder or the split file does not exist, or there is no image.
            ValueError: two images have one NAME, or the split file is empty.
        """
        image_files = self._list_files('img_path')
        has_labels = 'seg_map_path' in self.folders
        shared = has_labels and self.folders['seg_map_path'] == self.folders['img_path']
        images = self._images_by_name(image_files, skip_label_maps=shared)
        names = self._read_split(images) if self.ann_file else sorted(images, key=images.get)
        label_files = None
        if has_labels:
            label_files = image_files if shared else self._list_files('seg_map_path')
        return FoundFiles(names, images, image_files, label_files)

    def check(self, found: FoundFiles) -> None:
        """Each NAME has its image and, in a dataset with label maps, its label map.

        Raises:
            FileNotFoundError: one has not.
        """
        self._check_split(found)
        if found.label_files is not None:
            self._check_pairs(found)

    def _images_by_name(self, files: list[str], skip_label_maps: bool) -> dict[str, str]:
        """NAME -> file name relative to the image folder."""
        suffixes = (self.img_suffix,) if isinstance(self.img_suffix, str) else tuple(self.img_suffix)
        images = {}
        for file in files:
            suffix = next((s for s in suffixes if file.endswith(s)), None)
            # Where both share a folder and an extension (a.png, a_mask.png), the label maps are no images.
            if suffix is None or (skip_label_maps and file.endswith(self.seg_map_suffix)):
                continue
            name = file[: len(file) - len(suffix)]
            if name in images:
                raise ValueError(
                    f'{self.folders["img_path"]} holds {images[name]} and {file}, and both would take '
                    f'the label map {name}{self.seg_map_suffix}: remove one or narrow '
                    f'img_suffix={self.img_suffix!r}'
                )
            images[name] = file
        if not images:
            raise FileNotFoundError(
                f'{self.dataset}: no image ending in {" or ".join(map(repr, suffixes))} under '
                f'{self.folders["img_path"]!r}, which holds {_summary(files)}. Set img_suffix to the '
                f'ending of the images, or {self._path_keys("img_path")} to their folder'
            )
        return images

    def _read_split(self, images: Mapping[str, str]) -> list[str]:
        if not exists(self.ann_file, backend_args=self.backend_args):
            raise FileNotFoundError(
                f'{self.dataset}: the split file {self.ann_file!r} does not exist (ann_file, relative to '
                f"data_root={self.data_root!r}); ann_file='' takes all images of the folder"
            )
        names = read_lines(self.ann_file, self.backend_args)
        if not names:
            raise ValueError(f'{self.dataset}: the split file {self.ann_file!r} is empty')
        return [name if name in images else _spelt_otherwise(name, images) for name in names]

    def _check_split(self, found: FoundFiles) -> None:
        names = found.names
        lost = [name for name in names if name not in found.images]
        if lost:
            with_suffix = osp.splitext(lost[0])[1] in (self.img_suffix, *self.img_suffix)
            hint = '; write the names without their suffix' if with_suffix else ''
            raise FileNotFoundError(
                f'{self.dataset}: the split file {self.ann_file!r} names {len(lost)} images (of '
                f'{len(names)}) that are not under {self.folders["img_path"]!r} with '
                f'img_suffix={self.img_suffix!r}: {_shorten(lost)}{hint}'
            )

    def _check_pairs(self, found: FoundFiles) -> None:
        names, images, label_files = found.names, found.images, found.label_files
        present = set(label_files)
        lost = [name for name in names if name + self.seg_map_suffix not in present]
        if not lost:
            return
        folder = self.folders['seg_map_path']
        examples = _shorten([f'{images[n]} -> {osp.join(folder, n + self.seg_map_suffix)}' for n in lost])
        prepare = f'; if they are still to be written: {self.preparation}' if self.preparation else ''
        raise FileNotFoundError(
            f'{self.dataset}: {len(lost)} of {len(names)} images have no label map (expected '
            f'{examples}). {folder!r} holds {_summary(label_files)}. Add the label maps, set seg_map_suffix '
            f'to their ending, or list the images to use in a split file (ann_file){prepare}'
        )

    def _path_keys(self, key: str) -> str:
        return f'data_root (now {self.data_root!r}) or data_prefix.{key} (now {self.given[key]!r})'

    def _list_files(self, key: str) -> list[str]:
        """All files under a folder, relative to it, with forward slashes."""
        folder, kind = self.folders[key], 'image' if key == 'img_path' else 'label map'
        if not folder:
            raise ValueError(f'{self.dataset}: where is the {kind} folder? Set {self._path_keys(key)}')
        if not isdir(folder, backend_args=self.backend_args):
            raise FileNotFoundError(
                f'{self.dataset}: the {kind} folder {folder!r} does not exist '
                f'({_deepest_folder(folder)}). Set {self._path_keys(key)}, e.g. --cfg-options data_root=DIR; '
                'docs/datasets.md shows the folder trees'
            )
        found = list_dir_or_file(folder, list_dir=False, recursive=True, backend_args=self.backend_args)
        try:
            return [name.replace(osp.sep, '/') for name in found]
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ValueError(
                f'{self.dataset}: a link in the {kind} folder {folder!r} leads back to a folder that it lies '
                f'in, so the files have no end. Delete it: {error.filename}'
            ) from None


def _spelt_otherwise(name: str, images: Mapping[str, str]) -> str:
    """The name as the folder has it: Windows parts folders by a backslash, macOS writes accents as own signs."""
    slashed = name.replace('\\', '/')
    spellings = [slashed, *(unicodedata.normalize(form, slashed) for form in ('NFC', 'NFD'))]
    return next((spelling for spelling in spellings if spelling in images), name)


def _shorten(items: Sequence[str]) -> str:
    shown = [item if item.isprintable() else repr(item) for item in items[:SHOWN]]
    return ', '.join(shown) + (', ...' if len(items) > SHOWN else '')


def _summary(files: list[str]) -> str:
    """'4 files (3 .png, 1 .txt), such as a.png'."""
    if not files:
        return 'no files'
    counts = Counter(osp.splitext(file)[1] or 'without suffix' for file in files).most_common(SHOWN)
    kinds = ', '.join(f'{count} {suffix}' for suffix, count in counts)
    return f'{len(files)} files ({kinds}), such as {min(files)}'


def _deepest_folder(path: str) -> str:
    """Where on the way to ``path`` the existing folders end."""
    path = osp.abspath(path)
    parent = osp.dirname(path)
    while not osp.isdir(parent) and parent != osp.dirname(parent):
        parent = osp.dirname(parent)
    return f'resolved: {path}; it exists up to {parent}'
