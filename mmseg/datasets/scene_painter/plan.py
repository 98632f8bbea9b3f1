"""What stands where, and the shadows of it."""

import cv2
import numpy as np

from .buildings import draw_block, draw_house
from .cars import draw_car
from .classes import THINGS
from .figures import CIRCLE
from .ground import Road
from .people import draw_person
from .scene import Scene
from .signs import draw_sign
from .trees import draw_tree

DRAWN = dict(zip(THINGS, (draw_tree, draw_car, draw_person, draw_sign), strict=True))
SHADOWS = {draw_tree: 1.6, draw_car: 2.0, draw_person: 0.5, draw_sign: 0.4}  # radius in metres


def plan(scene: Scene, road: Road) -> list[tuple]:
    """Chooses what stands where: tuples of nearness, drawing function and its other arguments, x first."""
    uniform, unit, width = scene.uniform, scene.unit, scene.width
    things = []

    def count(low, high):  # a wide picture holds more
        return round(uniform(low - 0.5, high + 0.5) * width / (128 * unit))

    # A backdrop along the horizon, with gaps.
    p = uniform(2.5, 5.5) * unit
    town, wood, tall = scene.chance(), scene.chance(), uniform(6, 34)
    column = -0.3 * width
    while column < 1.3 * width:
        span, here = uniform(16, 44) * unit, p * uniform(0.9, 1.1)
        x = scene.x_at(column, here)
        if scene.chance() < town:
            things.append((here, draw_block, x, span / here, tall * uniform(0.5, 1.2)))
        elif scene.chance() < wood:
            things.append((here, draw_tree, x + span / 2 / here, uniform(5, 11)))
        column += span

    # Houses along the street, seen at an angle.
    for side in (-1, 1):
        if scene.chance() < 0.55:
            edge = road.x + side * (road.half + uniform(1.5, 8))
            height, far = uniform(5, 18), uniform(4, 7) * unit
            for _ in range(count(1, 3)):
                near = far * uniform(1.3, 2.2)
                if near < 22 * unit:
                    outer = edge + side * uniform(6, 16)
                    things.append((near, draw_house, edge, outer, far, height * uniform(0.7, 1.3)))
                far = near * uniform(1.0, 1.25)

    for _ in range(count(0, 3)):
        p = uniform(5, 15) * unit
        things.append((p, draw_tree, scene.x_at(uniform(0, width), p), uniform(3.2, 6.5)))
    for _ in range(count(0, 3)):
        p = uniform(8, 20) * unit
        on_road = scene.chance() < 0.6
        x = road.x + road.half * uniform(-1, 1) if on_road else scene.x_at(uniform(0, width), p)
        things.append((p, draw_car, x))
    for _ in range(count(1, 3)):
        p = uniform(17, 31) * unit
        things.append((p, draw_person, scene.x_at(uniform(0.05, 0.95) * width, p)))
    for _ in range(count(1, 2)):
        p = uniform(15, 27) * unit
        things.append((p, draw_sign, scene.x_at(uniform(0.05, 0.95) * width, p)))
    return things


def paint_shadows(scene: Scene, things: list[tuple]) -> None:
    """Darkens the ground under things; its label stays what it is."""
    spots = np.array([(p, x, SHADOWS[draw]) for p, draw, x, *_ in things if draw in SHADOWS])
    if not len(spots):
        return
    p, x, r = spots.T[..., None]
    reach = -scene.light_from * scene.uniform(0.2, 1.5)
    depth = p / (1 + 0.35 * r * CIRCLE.imag * p / (30 * scene.unit))
    shadow = np.zeros((scene.height, scene.width), np.uint8)
    for spot in scene.pixels(x + r * (reach + 1.2 * CIRCLE.real), depth, 0.0):
        cv2.fillConvexPoly(shadow, spot, 255)
    dark = cv2.convertScaleAbs(scene.canvas, alpha=scene.uniform(0.45, 0.9))
    dark[..., 3] = scene.canvas[..., 3]
    cv2.copyTo(dark, shadow, scene.canvas)
