"""A scene while it is painted."""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from .classes import SKIES


def _draws(rng: np.random.Generator) -> Iterator[float]:
    """Numbers in [0, 1), drawn by the block: a scene takes several hundred, and single draws cost more."""
    while True:
        yield from rng.random(512).tolist()


class Scene:
    """The chance, the camera, the light and the canvas of one scene.

    Args:
        rng: the only source of chance.
        height, width: of the picture, in pixels.

    Attributes:
        canvas: H x W x 4, uint8: red, green, blue and the class.
        unit: how many times as large as 128 x 128 the picture is.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng, self.height, self.width = rng, height, width
        self.chance = _draws(rng).__next__
        self.unit = min(height, width) / 128
        self.canvas = np.empty((height, width, 4), np.uint8)

        uniform = self.uniform
        self.horizon = height * uniform(-0.15, 0.7)
        self.vanishing_x = width * uniform(-0.2, 1.2)
        self.bend = rng.normal(0, 90) * self.unit**2
        tilt = math.radians(min(max(rng.normal(0, 6), -14), 14))
        self.turn = complex(math.cos(tilt), math.sin(tilt))
        self.centre = complex(width / 2, height / 2)
        # The nearest things stand at the lower edge whatever the horizon: a high horizon means a high camera.
        self.camera_height = (height * uniform(0.85, 1.12) - self.horizon) / (30 * self.unit)
        self.light_from = self.sign()
        self.sky_colour = self.pick(SKIES, 14)
        self.haze = uniform(0, 0.5)

    # Chance and colours.

    def uniform(self, low, high):
        return low + (high - low) * self.chance()

    def sign(self):
        return -1 if self.chance() < 0.5 else 1

    def one_of(self, options):
        return options[int(self.chance() * len(options))]

    def pick(self, colours, spread=16):
        """One of the colours, shifted at random."""
        gain, chance = self.uniform(0.82, 1.18), self.chance
        return np.array([c * gain + spread * (2 * chance() - 1) for c in self.one_of(colours)])

    # Geometry.

    def pixels(self, x, p, up):
        """Where points of the street lie in the picture: int32, ... x 2."""
        points = (self.vanishing_x + p * x + self.bend / p) + 1j * (self.horizon + p * (self.camera_height - up))
        return self.rounded((points - self.centre) * self.turn + self.centre)

    @staticmethod
    def rounded(points):
        return np.rint(points.view(np.float64)).astype(np.int32).reshape(*points.shape, 2)

    def stand(self, x, p):
        """A place for figures: its pixel position and the step of a metre, as complex numbers, and p."""
        origin = complex(self.vanishing_x + p * x + self.bend / p, self.horizon + p * self.camera_height)
        return (origin - self.centre) * self.turn + self.centre, p * self.turn, p

    def x_at(self, column, p):
        """The lateral position that is seen at a picture column."""
        return (column - self.vanishing_x - self.bend / p) / p

    def across(self, p):
        """Lines across the whole picture at nearnesses p (M): int32, M x 2 x 2."""
        p = np.asarray(p)[:, None]
        return self.pixels(self.x_at(np.array([-1.0, 2.0]) * self.width, p), p, 0.0)

    def bands(self, p):
        """The stripes of ground between neighbouring nearnesses: int32, M-1 x 4 x 2."""
        lines = self.across(p)
        return np.concatenate((lines[:-1], lines[1:, ::-1]), 1)

    # Painting.

    def fill(self, pixels, colour, label, p=None):
        """Fills one polygon (N x 2) or several that do not overlap (M x N x 2); far ones fade into haze."""
        if p is not None:
            fade = self.haze * (1 - p / (14 * self.unit))
            if fade > 0:
                colour = colour + (self.sky_colour - colour) * fade
        cv2.fillPoly(self.canvas, pixels if pixels.ndim == 3 else [pixels], (*colour.tolist(), label))

    def shape(self, place, figure, colour, label):
        """Paints one figure (N) or several that do not overlap (M x N), facing the camera."""
        origin, metre, p = place
        self.fill(self.rounded(origin + metre * figure.conj()), colour, label, p)
