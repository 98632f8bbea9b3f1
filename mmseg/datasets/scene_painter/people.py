"""People, who face the camera."""

import numpy as np

from .classes import CLOTHES, DARK, PERSON, SKINS
from .figures import CIRCLE, box, figure, mirrored
from .scene import Scene

TORSO = figure((-0.28, 0.8), (0.28, 0.8), (0.33, 1.4), (0.16, 1.5), (-0.16, 1.5), (-0.33, 1.4))
TORSO_LIT = figure((0.1, 0.82), (0.27, 0.82), (0.31, 1.38), (0.12, 1.44))
STRIPES = np.stack([box(-0.28, 0.28, up, up + 0.08) for up in (0.92, 1.1, 1.28)])
BAG = box(-0.18, 0.18, 0.95, 1.36)
HEAD, HAIR = 0.155 * CIRCLE + 1.62j, 0.175 * CIRCLE + 1.67j


def draw_person(scene: Scene, p: float, x: float) -> None:
    place = scene.stand(x, p)
    scale = scene.uniform(0.92, 1.08)
    shirt, trousers, skin = scene.pick(CLOTHES, 20), scene.pick(CLOTHES, 20) * 0.7, scene.pick(SKINS, 8)
    hair = np.array(scene.one_of(((34, 26, 22), (98, 66, 36), (190, 160, 100), (120, 116, 112))))
    stride, swing = scene.uniform(0.0, 0.2), scene.uniform(-0.15, 0.2)

    def part(shape, colour):
        scene.shape(place, shape * scale, colour, PERSON)

    for side, shade in ((-1, 0.85), (1, 1.0)):
        foot, hand = side * (0.12 + stride), side * (0.4 + swing)
        part(
            figure((0, 0.9), (side * 0.27, 0.9), (foot + 0.13, 0.05), (foot - 0.13, 0.05)),
            trousers * shade,
        )
        part(box(foot - 0.15, foot + 0.15, 0, 0.11), DARK)
        arm = figure((side * 0.16, 1.42), (side * 0.34, 1.38), (hand + 0.09, 0.85), (hand - 0.09, 0.85))
        part(arm, shirt * (shade - 0.1))
        part(hand + 0.82j + 0.09 * CIRCLE[::2], skin)
    part(TORSO, shirt)
    part(TORSO_LIT if scene.light_from > 0 else mirrored(TORSO_LIT), shirt * 1.15 + 10)
    pattern = scene.chance()
    if pattern < 0.4:
        part(STRIPES, scene.pick(CLOTHES, 20))
    elif pattern < 0.6:
        part(BAG, scene.pick(CLOTHES, 20))
    part(HAIR, hair)
    part(HEAD, skin)
