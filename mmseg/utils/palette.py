"""Colours for classes that have none."""

import colorsys
from collections.abc import Mapping

import numpy as np


def spread_palette(classes: int) -> np.ndarray:
    """A colour for each class, C x 3: hues a golden ratio of the circle apart, so that none are alike."""
    hues = [(0.618034 * i) % 1 for i in range(classes)]
    return np.array([[round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.75, 0.9)] for hue in hues], dtype=np.uint8)


def palette_of(dataset_meta: Mapping) -> np.ndarray:
    """The colours of a dataset's classes, C x 3, uint8: its own, or spread ones."""
    palette = dataset_meta.get('palette')
    if palette is None or not len(palette):
        return spread_palette(len(dataset_meta['classes']))
    return np.array(palette, dtype=np.uint8)
