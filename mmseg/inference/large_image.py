"""Images that are taken a few rows at a time: from the file, where its format can, or decoded once."""

import importlib.util
import os
import warnings
from typing import Protocol

import numpy as np

from mmseg.datasets.transforms import LoadImageFromFile

from .images import Image, as_picture, file_or_array
from .result import Classes


class LargeImage(Protocol):
    """Any image of ``size`` (height, width)."""

    size: tuple[int, int]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows as the config's loader gives them, (stop - start) x W [x C]."""

    def picture(self) -> np.ndarray:
        """All of it to draw on, H x W x 3, BGR, uint8."""


class Decoded:
    """An image in memory, as it was loaded."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.size = array, array.shape[:2]

    def rows(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop]

    def picture(self) -> np.ndarray:
        return as_picture(self.array)


class RasterFile:
    """A TIFF of 8-bit colours, of which only the rows that are asked for are read (by ``rasterio``)."""

    def __init__(self, path: str) -> None:
        self.path = path
        with rasterio().open(path) as file:
            self.size = file.height, file.width

    @staticmethod
    def can_read(path: str) -> bool:
        """Whether it is such a file, and ``rasterio`` is installed."""
        if os.path.splitext(path)[1].lower() not in ('.tif', '.tiff') or importlib.util.find_spec('rasterio') is None:
            return False
        try:
            with rasterio().open(path) as file:
                colours = [colour.name for colour in file.colorinterp[:3]]
                return set(file.dtypes) == {'uint8'} and colours == ['red', 'green', 'blue'] and file.count <= 4
        except rasterio().errors.RasterioError:  # the loader will say what is wrong with it
            return False

    def rows(self, start: int, stop: int) -> np.ndarray:
        with rasterio().open(self.path) as file:
            rgb = file.read((1, 2, 3), window=((start, stop), (0, file.width)))
        return np.ascontiguousarray(rgb[::-1].transpose(1, 2, 0))

    def picture(self) -> np.ndarray:
        return self.rows(0, self.size[0])


def open_large(image: Image, loader: LoadImageFromFile | None) -> LargeImage:
    """An image, of which only the header is read if that suffices.

    Raises:
        TypeError, ValueError, OSError: it is none that ``loader`` can read.
    """
    loader = loader or LoadImageFromFile()
    source = file_or_array(image, loader)
    if not isinstance(source, str):
        return Decoded(source)
    if loader.color_type == 'color' and RasterFile.can_read(source):
        return RasterFile(source)
    return Decoded(loader(dict(img_path=source, seg_fields=[]))['img'])


def label_geotiff(labels: np.ndarray, classes: Classes, source: str) -> bytes:
    """A label map as a GeoTIFF; its coordinates are those of the file ``source``, if that has any."""
    library = rasterio()
    profile = dict(driver='GTiff', count=1, dtype=labels.dtype, nodata=classes.nothing, compress='deflate', tiled=True)
    profile |= dict(height=labels.shape[0], width=labels.shape[1], BIGTIFF='IF_SAFER')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', library.errors.NotGeoreferencedWarning)
        try:
            with library.open(source) as file:
                if (file.height, file.width) == labels.shape:
                    profile |= dict(crs=file.crs, transform=file.transform)
        except library.errors.RasterioError:
            pass  # an array, or a format that GDAL does not read
        with library.MemoryFile() as memory:
            with memory.open(**profile) as file:
                file.write(labels, 1)
                if labels.dtype == np.uint8:
                    file.write_colormap(1, dict(enumerate(map(tuple, classes.palette.tolist()))))
            return memory.read()


def rasterio():
    """The library, quiet about files without coordinates.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if importlib.util.find_spec('rasterio') is None:
        raise ModuleNotFoundError("GeoTIFFs need the package rasterio: pip install 'lrformer[geo]', or rasterio")
    import rasterio
    import rasterio.errors

    return rasterio
