"""Flat figures: complex numbers whose real part goes sideways and whose imaginary part goes up, in metres."""

import numpy as np

CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 14, endpoint=False))


def figure(*points: tuple[float, float]) -> np.ndarray:
    return np.array([complex(x, up) for x, up in points])


def mirrored(shape: np.ndarray) -> np.ndarray:
    return -shape.conj()


def box(left: float, right: float, low: float, high: float) -> np.ndarray:
    return figure((left, low), (right, low), (right, high), (left, high))
