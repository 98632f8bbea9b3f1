"""Trees: a trunk, and a crown of blobs on which the light falls."""

import numpy as np

from .classes import LEAVES, TREE
from .figures import CIRCLE, box
from .scene import Scene


def draw_tree(scene: Scene, p: float, x: float, height: float) -> None:
    place = scene.stand(x, p)
    colour = scene.pick(LEAVES, 12)
    half = max(0.06 * height, 1.6 * scene.unit / p)
    scene.shape(place, box(-half, half, 0, 0.6 * height), np.array((92, 70, 52)) * scene.uniform(0.6, 1.4), TREE)
    blobs = 9 if p > 7 * scene.unit else 5
    crown = scene.uniform(0.24, 0.34) * height
    angle, reach, radius = scene.rng.random((3, blobs))
    centre = crown * np.sqrt(reach) * np.exp(2j * np.pi * angle)
    radius = crown * (0.4 + 0.3 * radius)
    centre[0], radius[0] = 0, 0.9 * crown
    # The body of the crown first, then its blobs from the shaded to the lit ones.
    lit = (centre.real * scene.light_from + centre.imag) / crown
    lit[0] = -2
    order = np.argsort(lit)
    shades = (0.95 + 0.28 * np.maximum(lit[order], -0.6)).tolist()
    figures = centre[order, None] + radius[order, None] * CIRCLE + 0.68j * height
    origin, metre, _ = place
    for pixels, shade in zip(scene.rounded(origin + metre * figures.conj()), shades, strict=True):
        scene.fill(pixels, colour * shade, TREE, p)
