"""Walls with windows, the blocks of a town, houses that are seen at an angle."""

import math

import numpy as np

from .classes import BUILDING, WALLS
from .figures import box
from .scene import Scene

WINDOW = box(0.22, 0.78, 0.3, 0.8)  # in shares of its cell


def wall_style(scene: Scene) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Colours of wall and windows; height and width in metres of the cell that holds a window."""
    window = np.array(scene.one_of(((52, 60, 74), (84, 100, 122), (196, 206, 214))))
    return scene.pick(WALLS), window, scene.uniform(2.6, 4.0), scene.uniform(1.8, 3.6)


def draw_wall(
    scene: Scene, x: tuple[float, float], p: tuple[float, float], height: float, style: tuple, light: float = 1.0
) -> None:
    """A wall from (x[0], p[0]) to (x[1], p[1]) with rows of windows."""
    colour, window, storey, bay = style
    near = max(p)
    outline = scene.pixels(np.array((*x, *x[::-1])), np.array((*p, *p[::-1])), np.array((0, 0, height, height)))
    scene.fill(outline, colour * light, BUILDING, near)
    # Distance grows evenly along a wall, not nearness; 90 metres per 1 / p is a guess that looks right.
    length = math.hypot(x[1] - x[0], (1 / p[1] - 1 / p[0]) * 90 * scene.unit)
    columns, rows = max(1, int(length / bay)), max(1, int(height / storey))
    across = (np.arange(columns)[:, None, None] + WINDOW.real) / columns
    upward = (np.arange(rows)[:, None] + WINDOW.imag) * (height / rows)
    depth = 1 / (1 / p[0] + (1 / p[1] - 1 / p[0]) * across)
    panes = scene.pixels(x[0] + (x[1] - x[0]) * across, depth, upward).reshape(-1, 4, 2)
    scene.fill(panes, window, BUILDING, near)
    lit = panes[scene.rng.random(len(panes)) < 0.25]
    if len(lit):
        scene.fill(lit, (window + scene.sky_colour) / 2, BUILDING, near)


def draw_block(scene: Scene, p: float, left: float, width: float, height: float) -> None:
    draw_wall(scene, (left, left + width), (p, p), height, wall_style(scene))


def draw_house(scene: Scene, p: float, edge: float, outer: float, far: float, height: float) -> None:
    """A box: the wall along the street, then the one that faces the camera."""
    style = wall_style(scene)
    light = 1.12 if (outer > edge) == (scene.light_from > 0) else 0.8
    draw_wall(scene, (edge, edge), (far, p), height, style, 1.92 - light)
    draw_wall(scene, (edge, outer), (p, p), height, style, light)
    eaves = box(0, outer - edge, height - 0.35, height)
    scene.shape(scene.stand(edge, p), eaves, style[0] * 0.6, BUILDING)
