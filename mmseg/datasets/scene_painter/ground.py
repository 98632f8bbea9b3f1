"""Sky, ground and roads."""

from typing import NamedTuple

import cv2
import numpy as np

from .classes import GROUND, GROUNDS, ROAD, ROADS, SKY
from .scene import Scene

# From the vanishing point to beneath the camera, in pixels per metre at 128 x 128.
NEARNESSES = np.geomspace(1.2, 90, 24)


class Road(NamedTuple):
    """The road that leads away from the camera: its middle and half its width, in metres."""

    x: float
    half: float


def paint_sky(scene: Scene) -> None:
    low = scene.sky_colour + (235 - scene.sky_colour) * scene.uniform(0, 0.6)
    ramp = np.linspace(0, 1.6, scene.height)[:, None, None]
    rows = np.zeros((scene.height, 1, 4), np.uint8)
    rows[..., :3] = np.clip(scene.sky_colour + (low - scene.sky_colour) * ramp, 0, 255)
    rows[..., 3] = SKY
    scene.canvas[:] = rows


def paint_ground(scene: Scene) -> Road:
    """Ground and roads; the road ahead is where cars and houses stand, painted or not."""
    unit = scene.unit
    colour = scene.pick(GROUNDS)
    far = NEARNESSES[0] * unit
    near = NEARNESSES[[0, 4, 8, 12, 16, -1]] * unit
    shades = np.linspace(scene.uniform(0.8, 1.0), 1.08, 5).tolist()
    for p, band, shade in zip(near[:-1].tolist(), scene.bands(near), shades, strict=True):
        scene.fill(band, colour * shade, GROUND, p)
    if scene.chance() < 0.25:  # hills behind everything
        x = scene.x_at(np.linspace(-0.6, 1.6, 12) * scene.width, far)
        ridge = np.maximum(scene.uniform(8, 18) + np.cumsum(scene.rng.normal(0, 3.5, 12)), 0)
        outline = scene.pixels(np.append(x, x[[-1, 0]]), far, np.append(ridge, (-1, -1)))
        scene.fill(outline, scene.pick(GROUNDS), GROUND, far)
    if scene.chance() < 0.4:  # paving
        joint = np.clip(colour * scene.uniform(0.75, 1.2), 0, 255).tolist()
        lines = scene.across(NEARNESSES[2:21] * unit)
        cv2.polylines(scene.canvas, lines, False, (*joint, GROUND), max(1, round(unit)), cv2.LINE_8)

    road = Road(scene.uniform(-7, 7), scene.uniform(2.6, 6.5))
    colour = scene.pick(ROADS, 8)
    kind = scene.chance()
    if kind < 0.78:
        paint_road_ahead(scene, road, colour)
    if kind > 0.66:
        start = scene.uniform(4, 16) * unit
        paint_road_across(scene, colour, start, start * scene.uniform(1.6, 3.0))
    return road


def paint_road_ahead(scene: Scene, road: Road, colour: np.ndarray) -> None:
    x, half = road
    edges = [x - half - 0.25, x - half, x - half + 0.3, x - half + 0.5, x - 0.12]
    edges = np.array(edges + [2 * x - edge for edge in edges[::-1]])
    p = NEARNESSES * scene.unit
    lines = scene.pixels(edges[:, None], p, 0.0)  # 10 x 24 x 2

    def strip(left, right):
        return np.concatenate((lines[left], lines[right, ::-1]))

    paint = scene.one_of((np.array((225, 222, 205)), np.array((225, 222, 205)), np.array((225, 180, 70))))
    scene.fill(strip(0, 9), colour * scene.uniform(0.7, 1.5), ROAD)
    scene.fill(strip(1, 8), colour, ROAD)
    if scene.chance() < 0.75:
        start, end = lines[4:6, 4:23:2], lines[4:6, 5:24:2]
        scene.fill(np.stack((start[0], start[1], end[1], end[0]), 1), paint, ROAD)
    if scene.chance() < 0.5:
        scene.fill(np.stack((strip(2, 3), strip(6, 7))), paint, ROAD)
    if scene.chance() < 0.3:  # zebra crossing
        start = scene.uniform(10, 24) * scene.unit
        left = np.arange(x - half + 0.3, x + half - 0.6, 1.1)[:, None]
        corners = left + np.array([0, 0.55, 0.55, 0])
        scene.fill(scene.pixels(corners, np.array([1, 1, 1.4, 1.4]) * start, 0.0), paint, ROAD)


def paint_road_across(scene: Scene, colour: np.ndarray, far: float, near: float) -> None:
    scene.fill(scene.bands([far, near])[0], colour, ROAD)
    if scene.chance() < 0.7:
        middle = 2 / (1 / far + 1 / near)
        left = scene.x_at(np.arange(-0.5, 1.5, 0.16) * scene.width, middle)[:, None]
        corners = left + np.array([0, 1, 1, 0]) * 0.09 * scene.width / middle
        depth = np.array([1, 1, 1.07, 1.07]) * middle
        scene.fill(scene.pixels(corners, depth, 0.0), np.array((222, 218, 200)), ROAD)
