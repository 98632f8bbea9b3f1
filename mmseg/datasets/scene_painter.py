"""Draws street-like scenes with exact labels: the pictures of :class:`mmseg.datasets.scenes.SceneDataset`.

The world is a street on a plane. A point has a lateral position ``x`` in metres, a height ``up`` in metres,
and a nearness ``p``: the number of picture pixels that a metre takes there. Perspective is plain arithmetic:
``column = vanishing_x + p * x + bend / p`` (the last term curves the street) and
``row = horizon + p * (camera_height - up)``. Painting by increasing ``p`` lets near things occlude far ones.

The canvas has four channels: red, green, blue and the class. Every shape is filled into all four at once,
without antialiasing, so picture and label cannot disagree. What comes after (texture, light, blur, noise)
changes colours only.
"""

import math
from collections.abc import Mapping

import cv2
import numpy as np

CLASSES = ('sky', 'ground', 'road', 'building', 'tree', 'car', 'person', 'sign')
SKY, GROUND, ROAD, BUILDING, TREE, CAR, PERSON, SIGN = range(len(CLASSES))
THINGS = ('tree', 'car', 'person', 'sign')  # stand in a scene or not

# Colours in RGB. Classes share hues on purpose (grey walls, roads and pavements; green lawns, leaves and
# clothes), so that colour alone does not name the class.
SKIES = ((96, 150, 220), (150, 190, 235), (205, 212, 218), (170, 175, 182), (235, 190, 150), (120, 130, 160))
GROUNDS = ((88, 122, 58), (112, 140, 70), (150, 130, 96), (168, 162, 152), (136, 132, 126), (196, 178, 140))
ROADS = ((92, 92, 96), (70, 72, 78), (118, 116, 112), (140, 132, 122), (104, 96, 92))
WALLS = (
    (168, 96, 74),
    (196, 170, 132),
    (142, 140, 138),
    (206, 198, 186),
    (120, 86, 70),
    (132, 156, 176),
    (104, 108, 118),
    (186, 150, 150),
    (150, 160, 120),
)
LEAVES = (
    (58, 98, 42),
    (84, 122, 50),
    (44, 78, 44),
    (128, 128, 52),
    (176, 116, 48),
    (150, 74, 44),
    (196, 150, 168),
)
PAINTS = (
    (186, 32, 36),
    (30, 62, 140),
    (212, 212, 214),
    (50, 52, 56),
    (128, 132, 138),
    (222, 176, 44),
    (40, 104, 80),
)
CLOTHES = (
    (196, 44, 52),
    (44, 72, 160),
    (40, 42, 50),
    (226, 222, 214),
    (70, 120, 66),
    (224, 150, 40),
    (146, 70, 150),
    (60, 160, 170),
)
SKINS = ((236, 194, 166), (204, 150, 116), (150, 100, 72), (98, 66, 50))


def _per_class(*strengths: float) -> np.ndarray:
    table = np.zeros(256, np.float32)
    table[: len(strengths)] = strengths
    return table


# How strongly noise of so many cells per picture modulates the brightness of each class.
TEXTURES = {
    72: _per_class(0.00, 0.10, 0.10, 0.04, 0.22, 0.01, 0.06, 0.02),
    24: _per_class(0.02, 0.18, 0.04, 0.05, 0.26, 0.02, 0.06, 0.01),
    5: _per_class(0.14, 0.14, 0.10, 0.08, 0.06, 0.04, 0.02, 0.02),
}

# Flat figures: complex numbers whose real part goes sideways and whose imaginary part goes up, in metres.


def _figure(*points: tuple[float, float]) -> np.ndarray:
    return np.array([complex(x, up) for x, up in points])


def _mirrored(figure: np.ndarray) -> np.ndarray:
    return -figure.conj()


def _box(left: float, right: float, low: float, high: float) -> np.ndarray:
    return _figure((left, low), (right, low), (right, high), (left, high))


# From the vanishing point to beneath the camera, in pixels per metre at 128 x 128.
NEARNESSES = np.geomspace(1.2, 90, 24)

CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 14, endpoint=False))
POLYGON = {corners: np.exp(2j * np.pi * (np.arange(corners) / corners + 0.25)) for corners in (3, 4, 8)}
POLYGON[8] = POLYGON[8] * np.exp(1j * np.pi / 8)

# The bodies look to the right; each comes with its panes.
SALOON = _figure(
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
    _figure((-1.45, 1.02), (-1.05, 1.4), (-0.4, 1.4), (-0.4, 1.02)),
    _figure((-0.25, 1.02), (-0.25, 1.4), (0.42, 1.4), (0.92, 1.02)),
)
VAN = _figure((-2.4, 0.35), (2.3, 0.35), (2.4, 1.0), (1.9, 1.25), (1.5, 2.05), (-2.4, 2.1))
VAN_GLASS = (
    _box(-2.1, -1.0, 1.3, 1.85),
    _box(-0.8, 0.3, 1.3, 1.85),
    _figure((0.5, 1.3), (0.5, 1.85), (1.35, 1.85), (1.65, 1.3)),
)
SILL = _box(-2.12, 2.1, 0.3, 0.52)
SHINE = _figure((-2.0, 0.84), (1.85, 0.84), (1.7, 0.94), (-1.9, 0.94))
FRONT_LAMP, BACK_LAMP = _box(1.85, 2.12, 0.64, 0.82), _box(-2.12, -1.85, 0.64, 0.82)
# A car from the front or the back.
FACE = _figure((-0.95, 0.3), (0.95, 0.3), (1, 0.85), (0.85, 1), (0.65, 1.55), (-0.65, 1.55), (-0.85, 1), (-1, 0.85))
FACE_GLASS = _figure((-0.74, 1.02), (0.74, 1.02), (0.56, 1.44), (-0.56, 1.44))
FACE_WHEELS = np.stack((_box(-0.9, -0.6, 0, 0.4), _box(0.6, 0.9, 0, 0.4)))
FACE_LAMPS = np.stack((_box(-0.92, -0.55, 0.65, 0.85), _box(0.55, 0.92, 0.65, 0.85)))
FACE_BUMPER, FACE_PLATE = _box(-0.92, 0.92, 0.3, 0.48), _box(-0.28, 0.28, 0.5, 0.64)

TORSO = _figure((-0.28, 0.8), (0.28, 0.8), (0.33, 1.4), (0.16, 1.5), (-0.16, 1.5), (-0.33, 1.4))
TORSO_LIT = _figure((0.1, 0.82), (0.27, 0.82), (0.31, 1.38), (0.12, 1.44))
STRIPES = np.stack([_box(-0.28, 0.28, up, up + 0.08) for up in (0.92, 1.1, 1.28)])
BAG = _box(-0.18, 0.18, 0.95, 1.36)
HEAD, HAIR = 0.155 * CIRCLE + 1.62j, 0.175 * CIRCLE + 1.67j

WINDOW = _box(0.22, 0.78, 0.3, 0.8)  # in shares of its cell
BAR = _box(-0.52, 0.52, -0.13, 0.13)
POST = _box(-0.12, 0.12, -0.4, 0.4)

LAMP_WHITE, LAMP_RED, DARK, STEEL = (
    np.array(c) for c in ((250, 240, 190), (205, 30, 30), (26, 26, 30), (142, 144, 148))
)
RED, BLUE, WHITE, YELLOW = (np.array(c) for c in ((206, 26, 34), (24, 84, 190), (240, 240, 236), (248, 200, 30)))


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
    return _Painter(rng, *size).paint(rare or {})


def _draws(rng):
    """Numbers in [0, 1), drawn by the block: a scene takes several hundred, and single draws cost more."""
    while True:
        yield from rng.random(512).tolist()


class _Painter:
    def __init__(self, rng, height, width):
        self.rng, self.height, self.width = rng, height, width
        self.chance = _draws(rng).__next__
        self.unit = min(height, width) / 128

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

    def paint(self, rare):
        self.paint_sky()
        self.paint_ground()
        things = self.plan()
        share = {getattr(self, f'draw_{name}'): share for name, share in rare.items()}
        things = [thing for thing in things if thing[1] not in share or self.chance() < share[thing[1]]]
        self.paint_shadows(things)
        for p, draw, *arguments in sorted(things, key=lambda thing: thing[0]):
            draw(p, *arguments)
        label = self.canvas[..., 3].copy()
        return self.develop(label), label

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

    # Geometry and painting.

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

    def x_at(self, column, p):
        """The lateral position that is seen at a picture column."""
        return (column - self.vanishing_x - self.bend / p) / p

    # Sky, ground, road.

    def paint_sky(self):
        low = self.sky_colour + (235 - self.sky_colour) * self.uniform(0, 0.6)
        ramp = np.linspace(0, 1.6, self.height)[:, None, None]
        rows = np.zeros((self.height, 1, 4), np.uint8)
        rows[..., :3] = np.clip(self.sky_colour + (low - self.sky_colour) * ramp, 0, 255)
        rows[..., 3] = SKY
        self.canvas = np.repeat(rows, self.width, 1)

    def across(self, p):
        """Lines across the whole picture at nearnesses p (M): int32, M x 2 x 2."""
        p = np.asarray(p)[:, None]
        return self.pixels(self.x_at(np.array([-1.0, 2.0]) * self.width, p), p, 0.0)

    def bands(self, p):
        """The stripes of ground between neighbouring nearnesses: int32, M-1 x 4 x 2."""
        lines = self.across(p)
        return np.concatenate((lines[:-1], lines[1:, ::-1]), 1)

    def paint_ground(self):
        unit = self.unit
        colour = self.pick(GROUNDS)
        far = NEARNESSES[0] * unit
        near = NEARNESSES[[0, 4, 8, 12, 16, -1]] * unit
        shades = np.linspace(self.uniform(0.8, 1.0), 1.08, 5).tolist()
        for p, band, shade in zip(near.tolist(), self.bands(near), shades, strict=False):
            self.fill(band, colour * shade, GROUND, p)
        if self.chance() < 0.25:  # hills behind everything
            x = self.x_at(np.linspace(-0.6, 1.6, 12) * self.width, far)
            ridge = np.maximum(self.uniform(8, 18) + np.cumsum(self.rng.normal(0, 3.5, 12)), 0)
            outline = self.pixels(np.append(x, x[[-1, 0]]), far, np.append(ridge, (-1, -1)))
            self.fill(outline, self.pick(GROUNDS), GROUND, far)
        if self.chance() < 0.4:  # paving
            joint = np.clip(colour * self.uniform(0.75, 1.2), 0, 255).tolist()
            lines = self.across(NEARNESSES[2:21] * unit)
            cv2.polylines(self.canvas, lines, False, (*joint, GROUND), max(1, round(unit)), cv2.LINE_8)

        self.road_x, self.road_half = self.uniform(-7, 7), self.uniform(2.6, 6.5)
        colour = self.pick(ROADS, 8)
        kind = self.chance()
        if kind < 0.78:
            self.paint_road_ahead(colour)
        if kind > 0.66:
            start = self.uniform(4, 16) * unit
            self.paint_road_across(colour, start, start * self.uniform(1.6, 3.0))

    def paint_road_ahead(self, colour):
        x, half = self.road_x, self.road_half
        edges = [x - half - 0.25, x - half, x - half + 0.3, x - half + 0.5, x - 0.12]
        edges = np.array(edges + [2 * x - edge for edge in edges[::-1]])
        p = NEARNESSES * self.unit
        lines = self.pixels(edges[:, None], p, 0.0)  # 10 x 24 x 2

        def strip(left, right):
            return np.concatenate((lines[left], lines[right, ::-1]))

        paint = self.one_of((np.array((225, 222, 205)), np.array((225, 222, 205)), np.array((225, 180, 70))))
        self.fill(strip(0, 9), colour * self.uniform(0.7, 1.5), ROAD)
        self.fill(strip(1, 8), colour, ROAD)
        if self.chance() < 0.75:
            start, end = lines[4:6, 4:23:2], lines[4:6, 5:24:2]
            self.fill(np.stack((start[0], start[1], end[1], end[0]), 1), paint, ROAD)
        if self.chance() < 0.5:
            self.fill(np.stack((strip(2, 3), strip(6, 7))), paint, ROAD)
        if self.chance() < 0.3:  # zebra crossing
            start = self.uniform(10, 24) * self.unit
            left = np.arange(x - half + 0.3, x + half - 0.6, 1.1)[:, None]
            corners = left + np.array([0, 0.55, 0.55, 0])
            self.fill(self.pixels(corners, np.array([1, 1, 1.4, 1.4]) * start, 0.0), paint, ROAD)

    def paint_road_across(self, colour, far, near):
        self.fill(self.bands([far, near])[0], colour, ROAD)
        if self.chance() < 0.7:
            middle = 2 / (1 / far + 1 / near)
            left = self.x_at(np.arange(-0.5, 1.5, 0.16) * self.width, middle)[:, None]
            corners = left + np.array([0, 1, 1, 0]) * 0.09 * self.width / middle
            depth = np.array([1, 1, 1.07, 1.07]) * middle
            self.fill(self.pixels(corners, depth, 0.0), np.array((222, 218, 200)), ROAD)

    # What stands on the ground.

    def plan(self):
        """Chooses what stands where: tuples of nearness, drawing method and its arguments, x first."""
        uniform, unit, width = self.uniform, self.unit, self.width
        things = []

        def count(low, high):  # a wide picture holds more
            return round(uniform(low - 0.5, high + 0.5) * width / (128 * unit))

        # A backdrop along the horizon, with gaps.
        p = uniform(2.5, 5.5) * unit
        town, wood, tall = self.chance(), self.chance(), uniform(6, 34)
        column = -0.3 * width
        while column < 1.3 * width:
            span, here = uniform(16, 44) * unit, p * uniform(0.9, 1.1)
            x = self.x_at(column, here)
            if self.chance() < town:
                things.append((here, self.draw_block, x, span / here, tall * uniform(0.5, 1.2)))
            elif self.chance() < wood:
                things.append((here, self.draw_tree, x + span / 2 / here, uniform(5, 11)))
            column += span

        # Houses along the street, seen at an angle.
        for side in (-1, 1):
            if self.chance() < 0.55:
                edge = self.road_x + side * (self.road_half + uniform(1.5, 8))
                height, far = uniform(5, 18), uniform(4, 7) * unit
                for _ in range(count(1, 3)):
                    near = far * uniform(1.3, 2.2)
                    if near < 22 * unit:
                        outer = edge + side * uniform(6, 16)
                        things.append((near, self.draw_house, edge, outer, far, height * uniform(0.7, 1.3)))
                    far = near * uniform(1.0, 1.25)

        for _ in range(count(0, 3)):
            p = uniform(5, 15) * unit
            things.append((p, self.draw_tree, self.x_at(uniform(0, width), p), uniform(3.2, 6.5)))
        for _ in range(count(0, 3)):
            p = uniform(8, 20) * unit
            on_road = self.chance() < 0.6
            x = self.road_x + self.road_half * uniform(-1, 1) if on_road else self.x_at(uniform(0, width), p)
            things.append((p, self.draw_car, x))
        for _ in range(count(1, 3)):
            p = uniform(17, 31) * unit
            things.append((p, self.draw_person, self.x_at(uniform(0.05, 0.95) * width, p)))
        for _ in range(count(1, 2)):
            p = uniform(15, 27) * unit
            things.append((p, self.draw_sign, self.x_at(uniform(0.05, 0.95) * width, p)))
        return things

    def paint_shadows(self, things):
        """Darkens the ground under things; its label stays what it is."""
        radius = {self.draw_tree: 1.6, self.draw_car: 2.0, self.draw_person: 0.5, self.draw_sign: 0.4}
        spots = np.array([(p, x, radius[draw]) for p, draw, x, *_ in things if draw in radius])
        if not len(spots):
            return
        p, x, r = spots.T[..., None]
        reach = -self.light_from * self.uniform(0.2, 1.5)
        depth = p / (1 + 0.35 * r * CIRCLE.imag * p / (30 * self.unit))
        shadow = np.zeros((self.height, self.width), np.uint8)
        for spot in self.pixels(x + r * (reach + 1.2 * CIRCLE.real), depth, 0.0):
            cv2.fillConvexPoly(shadow, spot, 255)
        dark = cv2.convertScaleAbs(self.canvas, alpha=self.uniform(0.45, 0.9))
        dark[..., 3] = self.canvas[..., 3]
        cv2.copyTo(dark, shadow, self.canvas)

    def wall_style(self):
        """Colours of wall and windows; height and width in metres of the cell that holds a window."""
        window = np.array(self.one_of(((52, 60, 74), (84, 100, 122), (196, 206, 214))))
        return self.pick(WALLS), window, self.uniform(2.6, 4.0), self.uniform(1.8, 3.6)

    def draw_wall(self, x, p, height, style, light=1.0):
        """A wall from (x[0], p[0]) to (x[1], p[1]) with rows of windows."""
        colour, window, storey, bay = style
        near = max(p)
        outline = self.pixels(np.array((*x, *x[::-1])), np.array((*p, *p[::-1])), np.array((0, 0, height, height)))
        self.fill(outline, colour * light, BUILDING, near)
        # Distance grows evenly along a wall, not nearness; 90 metres per 1 / p is a guess that looks right.
        length = math.hypot(x[1] - x[0], (1 / p[1] - 1 / p[0]) * 90 * self.unit)
        columns, rows = max(1, int(length / bay)), max(1, int(height / storey))
        across = (np.arange(columns)[:, None, None] + WINDOW.real) / columns
        upward = (np.arange(rows)[:, None] + WINDOW.imag) * (height / rows)
        depth = 1 / (1 / p[0] + (1 / p[1] - 1 / p[0]) * across)
        panes = self.pixels(x[0] + (x[1] - x[0]) * across, depth, upward).reshape(-1, 4, 2)
        self.fill(panes, window, BUILDING, near)
        lit = panes[self.rng.random(len(panes)) < 0.25]
        if len(lit):
            self.fill(lit, (window + self.sky_colour) / 2, BUILDING, near)

    def draw_block(self, p, left, width, height):
        self.draw_wall((left, left + width), (p, p), height, self.wall_style())

    def draw_house(self, p, edge, outer, far, height):
        """A box: the wall along the street, then the one that faces the camera."""
        style = self.wall_style()
        light = 1.12 if (outer > edge) == (self.light_from > 0) else 0.8
        self.draw_wall((edge, edge), (far, p), height, style, 1.92 - light)
        self.draw_wall((edge, outer), (p, p), height, style, light)
        eaves = _box(0, outer - edge, height - 0.35, height)
        self.shape(self.stand(edge, p), eaves, style[0] * 0.6, BUILDING)

    def draw_tree(self, p, x, height):
        place = self.stand(x, p)
        colour = self.pick(LEAVES, 12)
        half = max(0.06 * height, 1.6 * self.unit / p)
        self.shape(place, _box(-half, half, 0, 0.6 * height), np.array((92, 70, 52)) * self.uniform(0.6, 1.4), TREE)
        blobs = 9 if p > 7 * self.unit else 5
        crown = self.uniform(0.24, 0.34) * height
        angle, reach, radius = self.rng.random((3, blobs))
        centre = crown * np.sqrt(reach) * np.exp(2j * np.pi * angle)
        radius = crown * (0.4 + 0.3 * radius)
        centre[0], radius[0] = 0, 0.9 * crown
        # The body of the crown first, then its blobs from the shaded to the lit ones.
        lit = (centre.real * self.light_from + centre.imag) / crown
        lit[0] = -2
        order = np.argsort(lit)
        shades = (0.95 + 0.28 * np.maximum(lit[order], -0.6)).tolist()
        figures = centre[order, None] + radius[order, None] * CIRCLE + 0.68j * height
        origin, metre, _ = place
        for pixels, shade in zip(self.rounded(origin + metre * figures.conj()), shades, strict=True):
            self.fill(pixels, colour * shade, TREE, p)

    def draw_car(self, p, x):
        place = self.stand(x, p)
        paint = self.pick(PAINTS)
        glass = np.array((60, 74, 90)) * self.uniform(0.7, 1.6)

        if self.chance() < 0.4:
            self.shape(place, FACE_WHEELS, DARK, CAR)
            self.shape(place, FACE, paint, CAR)
            self.shape(place, FACE_GLASS, glass, CAR)
            self.shape(place, FACE_BUMPER, paint * 0.5, CAR)
            self.shape(place, FACE_LAMPS, self.one_of((LAMP_WHITE, LAMP_RED)), CAR)
            self.shape(place, FACE_PLATE, WHITE, CAR)
            return

        body, panes = (VAN, VAN_GLASS) if self.chance() < 0.25 else (SALOON, SALOON_GLASS)
        looks_left = self.chance() < 0.5

        def part(figure, colour):
            self.shape(place, _mirrored(figure) if looks_left else figure, colour, CAR)

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

    def draw_person(self, p, x):
        place = self.stand(x, p)
        scale = self.uniform(0.92, 1.08)
        shirt, trousers, skin = self.pick(CLOTHES, 20), self.pick(CLOTHES, 20) * 0.7, self.pick(SKINS, 8)
        hair = np.array(self.one_of(((34, 26, 22), (98, 66, 36), (190, 160, 100), (120, 116, 112))))
        stride, swing = self.uniform(0.0, 0.2), self.uniform(-0.15, 0.2)

        def part(figure, colour):
            self.shape(place, figure * scale, colour, PERSON)

        for side, shade in ((-1, 0.85), (1, 1.0)):
            foot, hand = side * (0.12 + stride), side * (0.4 + swing)
            part(
                _figure((0, 0.9), (side * 0.27, 0.9), (foot + 0.13, 0.05), (foot - 0.13, 0.05)),
                trousers * shade,
            )
            part(_box(foot - 0.15, foot + 0.15, 0, 0.11), DARK)
            arm = _figure((side * 0.16, 1.42), (side * 0.34, 1.38), (hand + 0.09, 0.85), (hand - 0.09, 0.85))
            part(arm, shirt * (shade - 0.1))
            part(hand + 0.82j + 0.09 * CIRCLE[::2], skin)
        part(TORSO, shirt)
        part(TORSO_LIT if self.light_from > 0 else _mirrored(TORSO_LIT), shirt * 1.15 + 10)
        pattern = self.chance()
        if pattern < 0.4:
            part(STRIPES, self.pick(CLOTHES, 20))
        elif pattern < 0.6:
            part(BAG, self.pick(CLOTHES, 20))
        part(HAIR, hair)
        part(HEAD, skin)

    def draw_sign(self, p, x):
        place = self.stand(x, p)
        up, radius = self.uniform(1.6, 2.3) * 1j, self.uniform(0.5, 0.68)
        half = max(0.07, 1.5 * self.unit / p)
        self.shape(place, _box(-half, half, 0, up.imag), STEEL * self.uniform(0.6, 1.3), SIGN)

        def plate(figure, share, outer, inner, mark=None, colour=None):
            self.shape(place, up + figure * radius, outer, SIGN)
            self.shape(place, up + figure * (radius * share), inner, SIGN)
            if mark is not None:
                self.shape(place, up + mark * radius, colour, SIGN)

        kind = int(self.chance() * 6)
        if kind == 0:
            plate(CIRCLE, 0.72, RED, WHITE, POST, DARK)
        elif kind == 1:
            plate(POLYGON[3], 0.6, RED, self.one_of((WHITE, YELLOW)))
        elif kind == 2:
            plate(POLYGON[8], 0.86, WHITE, RED, BAR, WHITE)
        elif kind == 3:
            plate(POLYGON[4] * np.exp(0.25j * np.pi), 0.84, WHITE, BLUE, POST, WHITE)
        elif kind == 4:
            plate(POLYGON[4], 0.82, DARK, YELLOW, POST, DARK)
        else:
            plate(CIRCLE, 0.86, WHITE, self.one_of((BLUE, RED)), BAR, WHITE)

    # From paint to photograph.

    def noise(self, cells):
        """Smooth noise in -1..1 with about so many cells along the shorter side."""
        scale = cells / (128 * self.unit)
        shape = (max(2, round(self.height * scale)), max(2, round(self.width * scale)))
        grid = self.rng.integers(-127, 128, shape, np.int8).astype(np.float32) / 127
        return cv2.resize(grid, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    def develop(self, label):
        """Texture, light, blur and sensor noise; H x W x 3 uint8, BGR."""
        texture = 1 + self.noise(2) * self.uniform(0, 0.25)
        for cells, strength in TEXTURES.items():
            texture += self.noise(cells) * cv2.LUT(label, strength)
        warmth, green = self.rng.normal(0, (0.09, 0.03))
        exposure = self.uniform(0.55, 1.2)
        gains = [exposure * (1 - warmth), exposure * (1 + green), exposure * (1 + warmth)]
        photo = cv2.cvtColor(self.canvas, cv2.COLOR_RGBA2BGR)
        photo = cv2.multiply(photo, cv2.merge([texture * np.float32(gain) for gain in gains]), dtype=cv2.CV_8U)
        if self.chance() < 0.6:
            photo = cv2.GaussianBlur(photo, (3, 3), self.uniform(0.4, 0.9))
        # The difference of two even distributions is near enough to normal noise; its deviation is 104.
        grain = self.rng.integers(0, 256, (2, *photo.shape), np.uint8)
        strength, lift = self.uniform(1.5, 9) / 104, self.uniform(-12, 22)
        grain = cv2.addWeighted(grain[0], strength, grain[1], -strength, lift, dtype=cv2.CV_16S)
        return cv2.add(photo, grain, dtype=cv2.CV_8U)
