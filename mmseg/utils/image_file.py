"""Image files from anywhere: each is read rightly, or refused with its name and the reason."""

import functools
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import mmcv
import numpy as np
from mmengine import fileio
from PIL import Image, TiffImagePlugin

from . import array_file, zip_files  # noqa: F401 (zip:// paths)

# What OpenCV reads as well. Pillow knows others, and hands some (EPS) to outside programs.
FORMATS = ('AVIF', 'BMP', 'GIF', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'SUN', 'TIFF', 'WEBP')
PNG_START = b'\x89PNG\r\n\x1a\n'
ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = 1


class UnreadableFileError(ValueError):
    """A file is no image, or a damaged one. The message names it.

    Attributes:
        kind: 'empty', 'unreadable' (no image at all), 'damaged' (the end or a part is missing or wrong) or 'too-large'.
    """

    def __init__(self, message: str, kind: str = 'unreadable'):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Header:
    """What an image file says about itself before its pixels.

    Attributes:
        format: as Pillow calls it ('JPEG'); '' where only the size could be told.
        mode: of the pixels, as Pillow calls it ('RGB', 'P', 'I;16'); '' as above.
        size: (height, width) in pixels, as stored; None where it could not be told.
        orientation: EXIF's, 1 to 8; 1 is upright.
    """

    format: str
    mode: str
    size: tuple[int, int] | None
    orientation: int = UPRIGHT

    @property
    def shown_size(self) -> tuple[int, int] | None:
        """(height, width) after the turn that EXIF asks for."""
        return self.size[::-1] if self.size and self.orientation >= 5 else self.size


def read_image(
    path: str | Path,
    seg_map_path: str | Path | None = None,
    color_type: str = 'color',
    backend: str = 'cv2',
    backend_args: dict | None = None,
) -> np.ndarray:
    """Read an image.

    A photo may be stored lying on its side, with an EXIF note on how to turn it. Without an annotation it is
    turned, as viewers do. With one, the annotation's size decides: pixels stay as stored if that fits, and are
    turned if only that fits. So an image never parts from its annotation where sizes can tell; where they cannot
    (square images, half turns, mirrored ones), pixels stay as stored, as most tools wrote the annotation.

    Args:
        path: the file; any that :mod:`mmengine.fileio` reads.
        seg_map_path: its annotation, None without.
        color_type: ``flag`` of :func:`mmcv.imfrombytes`. 'unchanged' and '..._ignore_orientation' never turn.
            16 bits become 8 (the upper ones), alpha is dropped and CMYK converted, except by 'unchanged'.
        backend: 'cv2', 'pillow', 'turbojpeg', or 'tifffile' for a TIFF of any number of bands. A ``.npy`` file is
            told by its content, and its three channels are red, green and blue.
        backend_args: storage backend of :mod:`mmengine.fileio`; None goes by the path.

    Returns:
        H x W x 3, uint8, BGR by default.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableFileError: it is empty, truncated, no image, or promises more pixels than Pillow's limit.
    """
    content = read_bytes(path, 'image', backend_args)
    header = read_header(content, path, 'image', backend)
    return decode_image(content, header, path, seg_map_path, color_type, backend, backend_args)


def decode_image(
    content: bytes,
    header: Header,
    path: str | Path,
    seg_map_path: str | Path | None = None,
    color_type: str = 'color',
    backend: str = 'cv2',
    backend_args: dict | None = None,
) -> np.ndarray:
    """:func:`read_image` for a file whose content and header are at hand."""
    turn = header.orientation != UPRIGHT and color_type in ('color', 'grayscale')
    if turn:
        color_type += '_ignore_orientation' * (backend in ('cv2', 'pillow'))  # the others never turn
        turn = seg_map_path is None or turns_for_annotation(header, annotation_size(seg_map_path, backend_args))
    img = decode(content, path, 'image', color_type, backend, header)
    return turn_upright(img, header.orientation) if turn else img


def read_bytes(path: str | Path, what: str, backend_args: dict | None = None) -> bytes:
    """The file's content; ``what`` is 'image' or 'annotation', for messages."""
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{what} '{path}' does not exist. Check data_root, data_prefix, the file suffixes "
            'and the split file of the dataset.'
        ) from error
    except OSError as error:  # of an address, it does not say which
        if str(path) in str(error):
            raise
        raise OSError(f"{what} '{path}' cannot be read: {error}") from error
    if not content:
        raise UnreadableFileError(f"{what} '{path}' is empty (0 bytes). Fetch or convert it again.", 'empty')
    return content


def read_header(content: bytes, path: str | Path, what: str, backend: str = 'cv2') -> Header:
    """Look at a file before its pixels are decoded, and refuse what is no image or promises too many pixels.

    The limit is Pillow's: twice ``PIL.Image.MAX_IMAGE_PIXELS``, 179 million pixels, which a module listed under a
    config's ``custom_imports`` can change.

    Raises:
        UnreadableFileError: see above.
    """
    if array_file.is_npy(content):
        try:
            height, width, *_ = array_file.image_shape(array_file.npy_shape(content))
            return Header('NPY', '', (height, width))
        except ValueError as error:
            raise _unreadable(path, what, 'numpy', content, str(error), 'damaged') from None
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            # Pillow turns TIFFs by itself, so they count as upright.
            tagged = 'exif' in image.info and image.format != 'TIFF'
            orientation = image.getexif().get(ORIENTATION, UPRIGHT) if tagged else UPRIGHT
            orientation = orientation if orientation in range(1, 9) else UPRIGHT
            return Header(image.format or '', image.mode, (image.height, image.width), orientation)
    except Image.DecompressionBombError:
        raise _too_large(path, what, content) from None
    except Exception as error:  # each format has its own ways to fail
        size, reason = _plain_size(content), str(error) if content.startswith(PNG_START) else 'not an image'
    limit = Image.MAX_IMAGE_PIXELS and 2 * Image.MAX_IMAGE_PIXELS
    if size and limit and size[0] * size[1] > limit:
        raise _too_large(path, what, content)
    if size is None and backend != 'tifffile':
        raise _unreadable(path, what, backend, content, f'{reason}, or truncated', 'unreadable')
    return Header('', '', size)


def decode(
    content: bytes, path: str | Path, what: str, color_type: str, backend: str, header: Header | None = None
) -> np.ndarray:
    """The pixels of a file's content, as :func:`mmcv.imfrombytes` gives them.

    Raises:
        UnreadableFileError: they cannot be decoded, or not all of them.
    """
    header = header or read_header(content, path, what, backend)
    if backend == 'pillow' and color_type != 'unchanged' and header.mode[:1] in ('I', 'F'):
        raise UnreadableFileError(
            f"{what} '{path}' has more than 8 bits per pixel (mode {header.mode}), which Pillow cuts off instead of "
            "scaling. Read it with imdecode_backend='cv2'."
        )
    reason = 'not an image, or truncated'
    if header.format == 'NPY' or backend == 'tifffile':
        return _decode_array(content, path, what, color_type, header.format == 'NPY')
    try:
        array = mmcv.imfrombytes(content, flag=color_type, backend=backend)
    except Exception as error:  # each decoder has its own exceptions; all mean the same
        array, reason = None, str(error)
    if array is None or is_cut_short(content):
        raise _unreadable(path, what, backend, content, reason, 'damaged')
    return array


def _decode_array(content: bytes, path: str | Path, what: str, color_type: str, is_npy: bool) -> np.ndarray:
    try:
        array = array_file.read_npy(content) if is_npy else array_file.read_tiff(content)
        if what == 'annotation':
            return array.reshape([side for side in array.shape if side != 1]) if array.ndim > 2 else array
        array = array_file.as_image(array)
    except ValueError as error:
        raise _unreadable(path, what, 'numpy' if is_npy else 'tifffile', content, str(error), 'damaged') from None
    if not is_npy or color_type.startswith('unchanged'):  # with tifffile, mmcv gives what is there
        return array
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or channels not in (1, 3):
        raise ValueError(
            f"{what} '{path}' has {channels} channel(s) of {array.dtype}, which are no 8-bit colours. Load it as it "
            "is: LoadImageFromFile(color_type='unchanged'), with mean and std for each channel in data_preprocessor"
        )
    if color_type.startswith('gray'):
        return array if channels == 1 else mmcv.rgb2gray(array)
    return mmcv.gray2bgr(array) if channels == 1 else np.ascontiguousarray(array[..., ::-1])


def is_cut_short(content: bytes) -> bool:
    """Whether a JPEG or PNG ends too early.

    OpenCV before 5 fills what is missing with grey and says nothing. Only a file whose end looks wrong is
    decoded a second time, by Pillow, which is strict: bytes after the end are legal and common.
    """
    if has_end(content):
        return False
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception:
        return True
    return False


def has_end(content: bytes) -> bool:
    """Whether a JPEG or PNG has its end marker; True for other formats."""
    if content.startswith(b'\xff\xd8'):  # neither marker can occur inside the coded pixels
        return content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')
    if content.startswith(PNG_START[:4]):
        return b'IEND' in content[-12:]
    return True


def annotation_size(path: str | Path, backend_args: dict | None = None) -> tuple[int, int] | None:
    """(height, width) of an annotation, from its header; None if it has none that can be read."""
    try:
        return read_header(read_bytes(path, 'annotation', backend_args), path, 'annotation').size
    except (OSError, ValueError):
        return None  # whoever loads it will say what is wrong


def turns_for_annotation(header: Header, size: tuple[int, int] | None) -> bool:
    """Whether an annotation of this (height, width) fits the image only after EXIF's turn."""
    return size == header.shown_size != header.size


def turn_upright(img: np.ndarray, orientation: int) -> np.ndarray:
    """Turn or mirror H x W [x C] as EXIF's orientation 1 to 8 asks for."""
    if orientation >= 5:  # rows were stored as columns
        img = img.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        img = img[::-1]
    if orientation in (2, 3, 6, 7):
        img = img[:, ::-1]
    return np.ascontiguousarray(img)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that the installed Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _plain_size(content: bytes) -> tuple[int, int] | None:
    """(height, width) of a PNG or TIFF that Pillow cannot open, such as a TIFF of many channels."""
    try:
        if content.startswith(PNG_START) and content[12:16] == b'IHDR':
            return struct.unpack('>II', content[16:24])[::-1]
        if content[:4] in (b'II*\0', b'MM\0*'):
            tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
            file = io.BytesIO(content)
            file.seek(tags.next)
            tags.load(file)
            return int(tags[TiffImagePlugin.IMAGELENGTH]), int(tags[TiffImagePlugin.IMAGEWIDTH])
    except Exception:  # a torn directory of tags fails in as many ways as there are tags
        return None
    return None


def _unreadable(path, what: str, backend: str, content: bytes, reason: str, kind: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{what} '{path}' cannot be read by {backend} ({len(content)} bytes; {reason}). Fetch or convert it again.",
        kind,
    )


def _too_large(path, what: str, content: bytes) -> UnreadableFileError:
    limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return UnreadableFileError(
        f"{what} '{path}' ({len(content)} bytes) promises more than {limit:,} pixels, and is not "
        'decoded. If it is genuine, cut it into tiles, or raise PIL.Image.MAX_IMAGE_PIXELS in a module that '
        'custom_imports names.',
        'too-large',
    )
