"""Colours for classes that have none."""

import colorsys

import numpy as np


def spread_palette(classes: int) -> np.ndarray:
    """A colour for each class, C x 3: hues a golden ratio of the circle apart, so that none are alike."""
    hues = [(0.618034 * i) % 1 for i in range(classes)]
    return np.array([[round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.75, 0.9)] for hue in hues], dtype=np.uint8)
