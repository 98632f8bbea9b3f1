"""Draws street-like scenes with exact labels: the pictures of :class:`mmseg.datasets.scenes.SceneDataset`.

The world is a street on a plane. A point has a lateral position ``x`` in metres, a height ``up`` in metres,
and a nearness ``p``: the number of picture pixels that a metre takes there. Perspective is plain arithmetic:
``column = vanishing_x + p * x + bend / p`` (the last term curves the street) and
``row = horizon + p * (camera_height - up)``. Painting by increasing ``p`` lets near things occlude far ones.

The canvas has four channels: red, green, blue and the class. Every shape is filled into all four at once,
without antialiasing, so picture and label cannot disagree. What comes after (texture, light, blur, noise)
changes colours only.
"""

from collections.abc import Mapping

import numpy as np

from .classes import CLASSES, THINGS
from .ground import paint_ground, paint_sky
from .photo import develop
from .plan import DRAWN, paint_shadows, plan
from .scene import Scene

__all__ = ['CLASSES', 'THINGS', 'draw_scene']


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int], rare: Mapping[str, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene.

    Args:
        rng: the only source of chance; equal generators give equal scenes.
        size: height and width in pixels. Geometry scales with the shorter one.
        rare: class -> which share of its things stand there at all, for those of :data:`THINGS`.

    Returns:
        The picture, H x W x 3 uint8 in BGR order, and its label map, H x W uint8 with values below 8.
    """
    scene = Scene(rng, *size)
    paint_sky(scene)
    road = paint_ground(scene)
    share = {DRAWN[name]: share for name, share in (rare or {}).items()}
    things = plan(scene, road)
    things = [thing for thing in things if thing[1] not in share or scene.chance() < share[thing[1]]]
    paint_shadows(scene, things)
    for p, draw, *arguments in sorted(things, key=lambda thing: thing[0]):
        draw(scene, p, *arguments)
    label = scene.canvas[..., 3].copy()
    return develop(scene, label), label
