"""Cars, from the side and from their ends."""

import numpy as np

from .classes import CAR, DARK, LAMP_RED, LAMP_WHITE, PAINTS, STEEL, WHITE
from .figures import CIRCLE, box, figure, mirrored
from .scene import Scene

# The bodies look to the right; each comes with its panes.
SALOON = figure(
    (-2.15, 0.3),
    (2.1, 0.3),
    (2.15, 0.75),
    (1.9, 0.9),
    (1.2, 1),
    (0.5, 1.5),
    (-1.1, 1.5),
    (-1.8, 1),
    (-2.15, 0.9),
)
SALOON_GLASS = (
    figure((-1.45, 1.02), (-1.05, 1.4), (-0.4, 1.4), (-0.4, 1.02)),
    figure((-0.25, 1.02), (-0.25, 1.4), (0.42, 1.4), (0.92, 1.02)),
)
VAN = figure((-2.4, 0.35), (2.3, 0.35), (2.4, 1.0), (1.9, 1.25), (1.5, 2.05), (-2.4, 2.1))
VAN_GLASS = (
    box(-2.1, -1.0, 1.3, 1.85),
    box(-0.8, 0.3, 1.3, 1.85),
    figure((0.5, 1.3), (0.5, 1.85), (1.35, 1.85), (1.65, 1.3)),
)
SILL = box(-2.12, 2.1, 0.3, 0.52)
SHINE = figure((-2.0, 0.84), (1.85, 0.84), (1.7, 0.94), (-1.9, 0.94))
FRONT_LAMP, BACK_LAMP = box(1.85, 2.12, 0.64, 0.82), box(-2.12, -1.85, 0.64, 0.82)
# A car from the front or the back.
FACE = figure((-0.95, 0.3), (0.95, 0.3), (1, 0.85), (0.85, 1), (0.65, 1.55), (-0.65, 1.55), (-0.85, 1), (-1, 0.85))
FACE_GLASS = figure((-0.74, 1.02), (0.74, 1.02), (0.56, 1.44), (-0.56, 1.44))
FACE_WHEELS = np.stack((box(-0.9, -0.6, 0, 0.4), box(0.6, 0.9, 0, 0.4)))
FACE_LAMPS = np.stack((box(-0.92, -0.55, 0.65, 0.85), box(0.55, 0.92, 0.65, 0.85)))
FACE_BUMPER, FACE_PLATE = box(-0.92, 0.92, 0.3, 0.48), box(-0.28, 0.28, 0.5, 0.64)


def draw_car(scene: Scene, p: float, x: float) -> None:
    place = scene.stand(x, p)
    paint = scene.pick(PAINTS)
    glass = np.array((60, 74, 90)) * scene.uniform(0.7, 1.6)

    if scene.chance() < 0.4:
        scene.shape(place, FACE_WHEELS, DARK, CAR)
        scene.shape(place, FACE, paint, CAR)
        scene.shape(place, FACE_GLASS, glass, CAR)
        scene.shape(place, FACE_BUMPER, paint * 0.5, CAR)
        scene.shape(place, FACE_LAMPS, scene.one_of((LAMP_WHITE, LAMP_RED)), CAR)
        scene.shape(place, FACE_PLATE, WHITE, CAR)
        return

    body, panes = (VAN, VAN_GLASS) if scene.chance() < 0.25 else (SALOON, SALOON_GLASS)
    looks_left = scene.chance() < 0.5

    def part(shape, colour):
        scene.shape(place, mirrored(shape) if looks_left else shape, colour, CAR)

    part(body, paint)
    part(SILL, paint * 0.65)
    part(SHINE, paint * 1.2 + 20)
    part(FRONT_LAMP, LAMP_WHITE)
    part(BACK_LAMP, LAMP_RED)
    for pane in panes:
        part(pane, glass)
    for hub in (-1.35 + 0.36j, 1.35 + 0.36j):
        part(hub + 0.4 * CIRCLE, DARK)
        part(hub + 0.18 * CIRCLE, STEEL)
