"""From paint to photograph."""

import cv2
import numpy as np

from .scene import Scene


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


def noise(scene: Scene, cells: float) -> np.ndarray:
    """Smooth noise in -1..1 with about so many cells along the shorter side."""
    scale = cells / (128 * scene.unit)
    shape = (max(2, round(scene.height * scale)), max(2, round(scene.width * scale)))
    grid = scene.rng.integers(-127, 128, shape, np.int8).astype(np.float32) / 127
    return cv2.resize(grid, (scene.width, scene.height), interpolation=cv2.INTER_LINEAR)


def develop(scene: Scene, label: np.ndarray) -> np.ndarray:
    """Texture, light, blur and sensor noise; H x W x 3 uint8, BGR."""
    texture = 1 + noise(scene, 2) * scene.uniform(0, 0.25)
    for cells, strength in TEXTURES.items():
        texture += noise(scene, cells) * cv2.LUT(label, strength)
    warmth, green = scene.rng.normal(0, (0.09, 0.03))
    exposure = scene.uniform(0.55, 1.2)
    gains = [exposure * (1 - warmth), exposure * (1 + green), exposure * (1 + warmth)]
    photo = cv2.cvtColor(scene.canvas, cv2.COLOR_RGBA2BGR)
    photo = cv2.multiply(photo, cv2.merge([texture * np.float32(gain) for gain in gains]), dtype=cv2.CV_8U)
    if scene.chance() < 0.6:
        photo = cv2.GaussianBlur(photo, (3, 3), scene.uniform(0.4, 0.9))
    # The difference of two even distributions is near enough to normal noise; its deviation is 104.
    grain = scene.rng.integers(0, 256, (2, *photo.shape), np.uint8)
    strength, lift = scene.uniform(1.5, 9) / 104, scene.uniform(-12, 22)
    grain = cv2.addWeighted(grain[0], strength, grain[1], -strength, lift, dtype=cv2.CV_16S)
    return cv2.add(photo, grain, dtype=cv2.CV_8U)
