"""What counts as an image, beside a file: arrays, PIL images and tensors, brought to the form that a loader gives.

Anything else is refused here, before the network, in one line: what was given and what was expected.
"""

import io
import os
from typing import Any, Protocol

import cv2
import numpy as np
import PIL.Image
import torch
from torch import Tensor

from mmseg.utils.image_file import decode_image, read_header

Image = str | os.PathLike | np.ndarray | PIL.Image.Image | Tensor

EXPECTED = 'a file name, an H x W [x 3] array (BGR, 0 to 255), a PIL image or a C x H x W or H x W x C tensor'
PNG_MODES = ('1', 'L', 'LA', 'I;16', 'P', 'RGB', 'RGBA')


class Loader(Protocol):
    """A transform that loads images; these arguments say in which form."""

    color_type: str
    imdecode_backend: str


def file_or_array(image: Image, loader: Loader) -> str | np.ndarray:
    """A file's name as it is; anything else as the array that ``loader`` would give for it.

    Grey becomes three channels, or colours become grey, as ``loader.color_type`` asks for; with 'unchanged' an array
    stays as it is. A PIL image is read as its file would be. A tensor holds what an array holds, channels first or
    last. Numbers are whole ones from 0 to 255; 16 bits become the upper 8; floats that are all within 0 to 1 are
    taken times 255.

    Raises:
        TypeError, ValueError: it is no image; the message says what it is and what was expected.
        FileNotFoundError, IsADirectoryError: the name is not that of a file.
    """
    if isinstance(image, (str, os.PathLike)):
        return _file(os.fspath(image))
    if isinstance(image, PIL.Image.Image):
        return _read_pil(image, loader)
    if isinstance(image, Tensor):
        return _as_loaded(_channels_last(image), loader.color_type, describe(image))
    if isinstance(image, np.ndarray):
        return _as_loaded(image, loader.color_type, describe(image))
    raise TypeError(f'not an image: {describe(image)}; expected {EXPECTED}')


def describe(value: Any) -> str:
    """'uint8 array of shape (2, 3)': a value in a few words, for messages."""
    if isinstance(value, Tensor):
        return f'{str(value.dtype).removeprefix("torch.")} tensor of shape {tuple(value.shape)}'
    if isinstance(value, np.ndarray):
        return f'{value.dtype} array of shape {value.shape}'
    if isinstance(value, PIL.Image.Image):
        return f'PIL image of mode {value.mode}, {value.height} x {value.width}'
    if isinstance(value, os.PathLike):
        return f'image {os.fspath(value)!r}'
    if isinstance(value, str):
        return f'image {value!r}'
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    size = f' of {len(value)}' if hasattr(value, '__len__') else ''
    return f'{type(value).__name__}{size}'


def _file(path: str) -> str:
    if '://' in path:  # mmengine's file backends
        return path
    shown = repr(path) if len(path) < 300 else f'{path[:40]!r}... ({len(path)} characters)'
    if not path:
        raise FileNotFoundError("image '': the name of the file is empty")
    if os.path.isdir(path):
        raise IsADirectoryError(f'{shown} is a folder, not an image; give its files as a list')
    try:
        os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, 'strerror', None) or str(error)
        raise FileNotFoundError(f'image {shown} cannot be opened: {reason}') from None
    return path


def _read_pil(image: PIL.Image.Image, loader: Loader) -> np.ndarray:
    if image.mode in ('I', 'F', 'I;16B', 'I;16L') or 0 in image.size:
        raise ValueError(f'not an image to segment: {describe(image)}; expected one of 8 or 16 bits, e.g. mode RGB')
    content = io.BytesIO()
    whole = image if image.mode in PNG_MODES else image.convert('RGB')
    whole.save(content, 'PNG', compress_level=0, exif=image.getexif())
    header = read_header(content.getvalue(), describe(image), 'image')
    backend = loader.imdecode_backend if loader.imdecode_backend in ('cv2', 'pillow') else 'cv2'
    return decode_image(content.getvalue(), header, describe(image), None, loader.color_type, backend)


def _channels_last(image: Tensor) -> np.ndarray:
    if image.layout != torch.strided or image.is_meta:
        raise TypeError(f'not an image: {describe(image)} without values in memory; expected {EXPECTED}')
    image = image.detach().cpu()
    if image.dtype == torch.bfloat16:
        image = image.float()
    if image.dim() != 3:
        return image.numpy()
    channels_first = image.shape[0] <= max(image.shape[-1], 4)  # of two sides the shorter one holds the channels
    return image.permute(1, 2, 0).numpy() if channels_first else image.numpy()


def _as_loaded(array: np.ndarray, color_type: str, what: str) -> np.ndarray:
    unchanged = color_type.startswith('unchanged')
    if array.dtype.kind not in 'uifb':
        raise TypeError(f'not an image: {what}; expected numbers from 0 to 255')
    if array.ndim == 3 and array.shape[2] == 1 and not unchanged:
        array = array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] != 3 and not unchanged):
        raise ValueError(f'not an image: {what}; expected H x W, H x W x 1 or H x W x 3 (BGR){_hint(array)}')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
        raise ValueError(f'not an image: {what} with infinite values or NaN; expected numbers from 0 to 255')
    if unchanged:
        return array
    array = _to_uint8(array, what)
    if color_type.startswith('grayscale'):
        return cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_BGR2GRAY) if array.ndim == 3 else array
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array


def _hint(array: np.ndarray) -> str:
    if array.ndim == 4:
        return '; give several images as a list: list(array)'
    if array.ndim == 3 and array.shape[0] == 3:
        return '; an array has its channels last: array.transpose(1, 2, 0)'
    if array.ndim == 3 and array.shape[2] == 4:
        return "; four channels need LoadImageFromFile(color_type='unchanged') and a model for them: array[..., :3]"
    return ''


def _to_uint8(array: np.ndarray, what: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    lowest, highest = array.min(), array.max()
    if array.dtype == np.bool_ or (array.dtype.kind == 'f' and lowest >= 0 and highest <= 1):
        array = array * np.float32(255)
    elif lowest < 0 or highest > 255:
        raise ValueError(f'not an image: {what} with values from {lowest:g} to {highest:g}; expected 0 to 255')
    return np.rint(array).astype(np.uint8)


def as_picture(array: np.ndarray) -> np.ndarray:
    """An image as it was loaded, in any number of channels and bits -> H x W x 3, BGR, uint8, to draw on."""
    if array.ndim == 2 or array.shape[2] < 3:
        array = np.repeat(array.reshape(*array.shape[:2], -1)[..., :1], 3, axis=2)
    array = array[..., :3]
    if array.dtype == np.uint16:
        array = array >> 8
    return np.ascontiguousarray(array if array.dtype == np.uint8 else np.clip(array, 0, 255).astype(np.uint8))
