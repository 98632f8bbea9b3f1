"""Road signs of six kinds."""

import numpy as np

from .classes import BLUE, DARK, RED, SIGN, STEEL, WHITE, YELLOW
from .figures import CIRCLE, box
from .scene import Scene

POLYGON = {corners: np.exp(2j * np.pi * (np.arange(corners) / corners + 0.25)) for corners in (3, 4, 8)}
POLYGON[8] = POLYGON[8] * np.exp(1j * np.pi / 8)
BAR = box(-0.52, 0.52, -0.13, 0.13)
POST = box(-0.12, 0.12, -0.4, 0.4)


def draw_sign(scene: Scene, p: float, x: float) -> None:
    place = scene.stand(x, p)
    up, radius = scene.uniform(1.6, 2.3) * 1j, scene.uniform(0.5, 0.68)
    half = max(0.07, 1.5 * scene.unit / p)
    scene.shape(place, box(-half, half, 0, up.imag), STEEL * scene.uniform(0.6, 1.3), SIGN)

    def plate(figure, share, outer, inner, mark=None, colour=None):
        scene.shape(place, up + figure * radius, outer, SIGN)
        scene.shape(place, up + figure * (radius * share), inner, SIGN)
        if mark is not None:
            scene.shape(place, up + mark * radius, colour, SIGN)

    kind = int(scene.chance() * 6)
    if kind == 0:
        plate(CIRCLE, 0.72, RED, WHITE, POST, DARK)
    elif kind == 1:
        plate(POLYGON[3], 0.6, RED, scene.one_of((WHITE, YELLOW)))
    elif kind == 2:
        plate(POLYGON[8], 0.86, WHITE, RED, BAR, WHITE)
    elif kind == 3:
        plate(POLYGON[4] * np.exp(0.25j * np.pi), 0.84, WHITE, BLUE, POST, WHITE)
    elif kind == 4:
        plate(POLYGON[4], 0.82, DARK, YELLOW, POST, DARK)
    else:
        plate(CIRCLE, 0.86, WHITE, scene.one_of((BLUE, RED)), BAR, WHITE)
