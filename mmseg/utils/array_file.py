"""Images that are arrays of numbers: ``.npy`` files, and TIFFs of any number of bands."""

import io
import math

import numpy as np
from numpy.lib import format as npy

NPY_START = b'\x93NUMPY'
AS_THEY_ARE = ('uint8', 'uint16', 'int16', 'float32')  # types that OpenCV resizes; others become float32


def is_npy(content: bytes) -> bool:
    """Whether a file's content is that of a ``.npy`` file."""
    return content.startswith(NPY_START)


def npy_shape(content: bytes) -> tuple[int, ...]:
    """What the header of a ``.npy`` file says, whose end must be there.

    Raises:
        ValueError: it is damaged, cut, or holds Python objects.
    """
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError('it holds Python objects, which are not read: they could run code')
    if file.tell() + math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError(f'its header promises {shape} of {dtype}, and the end is missing')
    return shape


def read_npy(content: bytes) -> np.ndarray:
    """The array of a ``.npy`` file.

    Raises:
        ValueError: as for :func:`npy_shape`.
    """
    npy_shape(content)
    return np.load(io.BytesIO(content), allow_pickle=False)


def read_tiff(content: bytes) -> np.ndarray:
    """All bands of a TIFF, in whichever order of axes it has them.

    Raises:
        ImportError: tifffile is not installed.
        ValueError: the file is damaged.
    """
    try:
        import tifffile
    except ImportError:
        raise ImportError('TIFFs of many bands are read by tifffile: pip install "lrformer[formats]"') from None
    try:
        return tifffile.imread(io.BytesIO(content))
    except Exception as error:  # a torn TIFF fails in as many ways as there are tags
        raise ValueError(str(error) or type(error).__name__) from None


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """H x W, or H x W x C, of an array of 2 or 3 axes: bands are the axis before or behind the others that is shorter.

    Raises:
        ValueError: it has other axes.
    """
    sides = [side for side in shape if side != 1] if len(shape) > 3 else list(shape)
    if len(sides) not in (2, 3) or 0 in sides:
        raise ValueError(
            f'an array of {" x ".join(map(str, shape))} is no image: that is H x W, H x W x C or C x H x W'
        )
    return (*sides[1:], sides[0]) if len(sides) == 3 and sides[0] < sides[2] else tuple(sides)


def as_image(array: np.ndarray) -> np.ndarray:
    """H x W or H x W x C, in the machine's byte order and a type that can be resized.

    Raises:
        ValueError: as for :func:`image_shape`.
    """
    shape = image_shape(array.shape)
    array = array.reshape([side for side in array.shape if side != 1]) if array.ndim > 3 else array
    if array.ndim == 3 and array.shape != shape:
        array = np.moveaxis(array, 0, -1)
    kind = array.dtype.name if array.dtype.name in AS_THEY_ARE else 'float32'
    return np.ascontiguousarray(array, dtype=kind)
