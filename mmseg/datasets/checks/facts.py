"""What is to be known about one image and its annotation: the part of a check that runs in parallel."""

import hashlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

from mmseg.utils.image_file import (
    UPRIGHT,
    Header,
    UnreadableFileError,
    decode,
    decode_image,
    read_bytes,
    read_header,
)

from ..label_colours import colours_of, labels_of
from ..transforms.base import count_labels
from ..transforms.loading import as_integer_map

JPEG = ('JPEG', 'MPO')
SUFFIXES = {
    'BMP': ('.bmp',),
    'GIF': ('.gif',),
    'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'),
    'MPO': ('.jpg', '.jpeg', '.jpe', '.jfif', '.mpo'),
    'PNG': ('.png',),
    'TIFF': ('.tif', '.tiff'),
    'WEBP': ('.webp',),
}
KNOWN_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
FILLER = 16  # bytes that a JPEG may have to spare without comment


@dataclass(frozen=True)
class Reading:
    """How a dataset's pipeline reads its files; the arguments of its loading transforms."""

    color_type: str = 'color'
    image_backend: str = 'cv2'
    image_backend_args: dict | None = None
    label_backend: str = 'pillow'
    label_backend_args: dict | None = None
    label_palette: list[list[int]] | None = None


@dataclass
class Facts:
    """What one sample is.

    Attributes:
        image, label: the files; ``label`` is None for an image without annotation.
        problems: (code, file, what is wrong) of everything that this sample alone shows.
        image_size, label_size: (height, width) as loaded; None where that failed.
        image_kind: (channels, dtype) as loaded.
        image_hash, label_hash: of the decoded pixels, so that copies are found whatever their format.
        values, counts: the labels in the file, ascending, and their pixels.
        colours: label -> (r, g, b), of an annotation that has a palette.
    """

    image: str
    label: str | None
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    image_size: tuple[int, int] | None = None
    label_size: tuple[int, int] | None = None
    image_kind: tuple[int, str] | None = None
    image_hash: bytes | None = None
    label_hash: bytes | None = None
    values: np.ndarray | None = None
    counts: np.ndarray | None = None
    colours: dict[int, tuple[int, ...]] | None = None

    def note(self, code: str, file: str, text: str = '') -> None:
        """Add a problem."""
        self.problems.append((code, file, text))


def inspect_files(reading: Reading, paths: tuple[str, str | None]) -> Facts:
    """Read an image file and its annotation file completely. Never raises on what is in them."""
    facts = Facts(*paths)
    _guarded(facts, facts.image, 'image', _inspect_image, reading)
    if facts.label is not None:
        _guarded(facts, facts.label, 'annotation', _inspect_label, reading)
    _compare_sizes(facts)
    return facts


def inspect_drawn(dataset: BaseDataset, index: int) -> Facts:
    """Look at a sample that the dataset holds in memory (``img``, ``gt_seg_map``) instead of in files."""
    info = dataset.get_data_info(index)
    facts = Facts(str(info.get('img_path', f'sample {index}')), None)
    _put_image(facts, info['img'])
    if info.get('gt_seg_map') is not None:
        facts.label = facts.image
        _put_labels(facts, info['gt_seg_map'])
    _compare_sizes(facts)
    return facts


def _guarded(facts: Facts, path: str, what: str, inspect: Callable, reading: Reading) -> None:
    try:
        inspect(facts, reading)
    except FileNotFoundError as error:
        facts.note(f'missing-{what}', path, str(error))
    except UnreadableFileError as error:
        facts.note(f'{error.kind}-{what}', path, str(error))
    except (OSError, ValueError, cv2.error, MemoryError) as error:
        facts.note(f'unreadable-{what}', path, str(error))


# ---- images


def _inspect_image(facts: Facts, reading: Reading) -> None:
    path = facts.image
    content = read_bytes(path, 'image', reading.image_backend_args)
    header = read_header(content, path, 'image', reading.image_backend)
    _check_suffix(facts, path, header, 'image')
    with _stderr() as printed:
        img = decode_image(
            content,
            header,
            path,
            facts.label,
            reading.color_type,
            reading.image_backend,
            reading.image_backend_args,
        )
        complaints = printed()
    _check_damage(facts, path, content, header, 'image', complaints)
    _compare_with_file(facts, header, img, reading, bits=content[24] if header.format == 'PNG' else 8)
    _put_image(facts, img)


def _compare_with_file(facts: Facts, header: Header, img: np.ndarray, reading: Reading, bits: int) -> None:
    """Note what the config's loader makes of an unusual file: what it keeps on purpose is no finding."""
    path, channels = facts.image, img.shape[2] if img.ndim == 3 else 1
    if (bits == 16 or header.mode.startswith('I')) and img.dtype == np.uint8:
        facts.note('16-bit-image', path)
    if header.mode == 'CMYK' and channels != 4:
        facts.note('cmyk-image', path)
    if header.mode in ('RGBA', 'LA', 'PA') and channels in (1, 3):
        facts.note('alpha-image', path)
    if header.mode == 'P' and channels == 1 and reading.color_type == 'unchanged':
        facts.note('palette-image', path)
    if header.orientation != UPRIGHT and facts.label is not None:
        text = f'orientation {header.orientation}'
        if header.shown_size == header.size and not reading.color_type.endswith('ignore_orientation'):
            facts.note('exif-unclear-image', path, text)
        elif header.shown_size != header.size and reading.color_type in ('color', 'grayscale'):
            facts.note('exif-image', path, text)  # by others never turned, and its size is compared as it is


def _put_image(facts: Facts, img: np.ndarray) -> None:
    facts.image_size = img.shape[:2]
    facts.image_kind = (img.shape[2] if img.ndim == 3 else 1, str(img.dtype))
    # Strided first, as few images get further.
    if (img[::16, ::16] == img[0, 0]).all() and (img == img[0, 0]).all():
        facts.note('blank-image', facts.image)
    else:
        facts.image_hash = _hash(img)


# ---- annotations


def _inspect_label(facts: Facts, reading: Reading) -> None:
    path = facts.label
    content = read_bytes(path, 'annotation', reading.label_backend_args)
    header = read_header(content, path, 'annotation', reading.label_backend)
    facts.label_size = header.size
    if header.format in JPEG or (header.format == 'WEBP' and content[12:16] == b'VP8 '):
        facts.note('lossy-annotation', path, f'is {header.format}')
        return
    _check_suffix(facts, path, header, 'annotation')
    if reading.label_palette is not None:
        _put_labels(facts, labels_of(colours_of(content, path), reading.label_palette, path))
        return
    labels = decode(content, path, 'annotation', 'unchanged', reading.label_backend, header)
    _check_damage(facts, path, content, header, 'annotation', '')
    if labels.ndim == 3 and labels.shape[2] > 1:
        grey = header.mode in ('RGB', 'RGBA') and (labels[..., :3] == labels[..., :1]).all()
        facts.note('grey-rgb-annotation' if grey else 'colour-annotation', path, f'{labels.shape[2]} channels')
        return
    labels = as_integer_map(labels, path, content)
    if labels.dtype.itemsize > 1:
        facts.note('16-bit-annotation', path)
    if header.mode == 'P':
        facts.note('palette-annotation', path)
    _put_labels(facts, labels)
    if header.mode == 'P':
        facts.colours = _palette(content, facts.values)


def _put_labels(facts: Facts, labels: np.ndarray) -> None:
    facts.label_size = labels.shape[:2]
    facts.values, facts.counts = count_labels(labels)
    facts.label_hash = _hash(labels)


def _palette(content: bytes, values: np.ndarray) -> dict[int, tuple[int, ...]]:
    with Image.open(io.BytesIO(content)) as image:
        palette = image.getpalette('RGB') or []
    return {int(v): tuple(palette[3 * v : 3 * v + 3]) for v in values if 3 * v + 3 <= len(palette)}


# ---- both


def _compare_sizes(facts: Facts) -> None:
    if facts.image_size and facts.label_size and tuple(facts.image_size) != tuple(facts.label_size):
        (height, width), (rows, columns) = facts.image_size, facts.label_size
        turned = ', turned by a quarter' if (height, width) == (columns, rows) else ''
        facts.note('size-mismatch', facts.label, f'{rows}x{columns}{turned}, its image {height}x{width}')


def _check_suffix(facts: Facts, path: str, header: Header, what: str) -> None:
    suffix = Path(path).suffix.lower()
    if suffix in KNOWN_SUFFIXES and suffix not in SUFFIXES.get(header.format, (suffix,)):
        facts.note(f'wrong-suffix-{what}', path, f'is {header.format}')


def _check_damage(facts: Facts, path: str, content: bytes, header: Header, what: str, printed: str) -> None:
    """Find damage that decoders pass over: what they read instead is grey or noise."""
    if header.format in JPEG:
        complaints = [line for line in printed.splitlines() if line.startswith(('Corrupt JPEG data', 'Premature end'))]
        if complaints and not _is_padding(complaints[0], content):
            facts.note(f'damaged-{what}', path, complaints[0])
    elif header.format == 'PNG':
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.verify()  # checksums, which are not looked at when pixels are read
        except Exception as error:
            facts.note(f'damaged-{what}', path, str(error))


def _is_padding(complaint: str, content: bytes) -> bool:
    """Whether "N extraneous bytes before marker 0xd9", the end, are filler, as some cameras write, and no lost pixels.

    Pixels that were hit decode as others of another length in bits, so that coded ones are left over.
    """
    match = re.search(r'(\d+) extraneous bytes before marker 0xd9', complaint)
    if match is None:
        return False
    end = content.rfind(b'\xff\xd9')
    return int(match[1]) < FILLER or len(set(content[end - int(match[1]) : end])) == 1


def _hash(array: np.ndarray) -> bytes:
    array = np.ascontiguousarray(array)
    return hashlib.blake2b(array, digest_size=16, salt=repr(array.shape).encode()[:16]).digest()


@contextmanager
def _stderr() -> Iterator[Callable[[], str]]:
    """Collect what C libraries print on stderr, the only place where libjpeg tells of damage that it survives."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)

        def printed() -> str:
            file.seek(0)
            return file.read().decode(errors='replace')

        try:
            yield printed
        finally:
            os.dup2(kept, 2)
            os.close(kept)
