"""Where results go: one class for each kind of file.

A sink makes the bytes of its file for one result; who writes them, and that they appear whole, is not its concern.
"""

import io
import json
import os
from abc import ABC, abstractmethod
from typing import ClassVar

import cv2
import numpy as np
import PIL.Image

from .large_image import label_geotiff, rasterio
from .result import Classes, Result, encode
from .shapes import compress, run_lengths


class Sink(ABC):
    """A file for each image, ``FOLDER/NAME + suffix``."""

    folder: ClassVar[str]
    suffix: ClassVar[str]
    needs_scores: ClassVar[bool] = False

    @abstractmethod
    def content(self, result: Result) -> bytes: ...


class Overlay(Sink):
    """The image under its classes' colours, with a legend."""

    folder, suffix = 'overlay', '.jpg'

    def __init__(self, opacity: float = 0.5) -> None:
        self.opacity = opacity

    def content(self, result: Result) -> bytes:
        return encode(result.drawn(self.opacity), self.suffix, (cv2.IMWRITE_JPEG_QUALITY, 90))


class Labels(Sink):
    """A PNG of class indices that opens in the classes' colours; grey, 16 bits, with more than 255 classes."""

    folder, suffix = 'labels', '.png'

    def content(self, result: Result) -> bytes:
        return label_png(result.labels, result.classes)


class Scores(Sink):
    """``scores``, classes x H x W, float16, and ``classes``, their names, for ``numpy.load``."""

    folder, suffix, needs_scores = 'scores', '.npz', True

    def content(self, result: Result) -> bytes:
        file = io.BytesIO()
        names = result.classes.names[: len(result.scores)]
        np.savez_compressed(file, scores=result.scores, classes=np.array(names))
        return file.getvalue()


class GeoJson(Sink):
    """Regions as GeoJSON polygons in pixels, x to the right and y downwards."""

    folder, suffix = 'geojson', '.geojson'

    def content(self, result: Result) -> bytes:
        features = []
        for region in result.regions[0]:
            rings = [[*outline.tolist(), outline[0].tolist()] for outline in region.outlines]
            classification = dict(name=result.classes.names[region.label], color=_colour(result, region.label))
            features.append(
                dict(
                    type='Feature',
                    geometry=dict(type='Polygon', coordinates=rings),
                    properties=dict(classification=classification, label=region.label, pixels=region.pixels),
                )
            )
        return _json(dict(type='FeatureCollection', features=features))


class LabelMe(Sink):
    """Regions as LabelMe polygons, which have no holes: a hole is a region of the class that is in it."""

    folder, suffix = 'labelme', '.json'

    def content(self, result: Result) -> bytes:
        shapes = [
            dict(
                label=result.classes.names[region.label],
                points=region.outlines[0].astype(float).tolist(),
                group_id=None,
                shape_type='polygon',
                flags={},
            )
            for region in sorted(result.regions[0], key=lambda region: -region.pixels)  # holes lie on top
        ]
        height, width = result.labels.shape
        return _json(
            dict(
                version='5.0.1',
                flags={},
                shapes=shapes,
                imagePath=os.path.abspath(result.source) if result.source else result.name,
                imageData=None,
                imageHeight=height,
                imageWidth=width,
            )
        )


class GeoTiff(Sink):
    """Class indices as a GeoTIFF, with colours, and with the coordinates of an image that is one."""

    folder, suffix = 'geotiff', '.tif'

    def __init__(self) -> None:
        rasterio()

    def content(self, result: Result) -> bytes:
        return label_geotiff(result.labels, result.classes, result.source)


FILES: dict[str, type[Sink]] = {kind.folder: kind for kind in (Overlay, Labels, Scores, GeoJson, LabelMe, GeoTiff)}


def label_png(labels: np.ndarray, classes: Classes) -> bytes:
    """A label map as the bytes of a PNG: with the palette, or grey with 16 bits."""
    file = io.BytesIO()
    image = PIL.Image.fromarray(labels)
    if labels.dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(classes.palette)] = classes.palette
        image.putpalette(palette.ravel().tolist())
    image.save(file, 'PNG', compress_level=3)
    return file.getvalue()


def coco_annotations(result: Result) -> list[dict]:
    """One annotation for each class of an image, as compressed RLE; numbers of image and annotation are missing."""
    annotations = []
    for label, pixels in result.counts():
        mask = result.labels == label
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        annotations.append(
            dict(
                category_id=label + 1,
                segmentation=dict(size=list(mask.shape), counts=compress(run_lengths(mask))),
                area=pixels,
                bbox=[x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                iscrowd=1,
            )
        )
    return annotations


def coco_polygons(result: Result) -> list[dict]:
    """One annotation for each region, as a polygon, or as RLE where it has a hole, which COCO's polygons cannot."""
    annotations = []
    found, where = result.regions
    for number, region in enumerate(found, 1):
        segmentation = [region.outlines[0].ravel().tolist()]
        if len(region.outlines) > 1:
            segmentation = dict(size=list(where.shape), counts=compress(run_lengths(where == number)))
        annotations.append(
            dict(
                category_id=region.label + 1,
                segmentation=segmentation,
                area=region.pixels,
                bbox=list(region.box),
                iscrowd=int(len(region.outlines) > 1),
            )
        )
    return annotations


def coco_categories(classes: Classes) -> list[dict]:
    return [dict(id=i + 1, name=name, supercategory='') for i, name in enumerate(classes.names)]


def _colour(result: Result, label: int) -> list[int]:
    return result.classes.palette[label].tolist()


def _json(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(',', ':')).encode()
