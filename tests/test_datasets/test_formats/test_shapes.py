"""Shapes against definitions that need no thought."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg.datasets.formats.label_studio import unpack_rle
from mmseg.datasets.formats.shapes import Ellipse, Polygons, Runs, coco_runs, rectangle
from mmseg.datasets.formats.source import CUT, NOWHERE, draw

from .drawn import pack_rle, runs

corner = st.tuples(*[st.floats(-20, 50, width=32)] * 2)


def crossings(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centres a ray to the right leaves the ring from an odd number of times."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        passed = (y0 > y) != (y1 > y)
        if passed.any():
            inside ^= passed & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


@given(st.lists(corner, min_size=3, max_size=9), st.integers(1, 40), st.integers(1, 40))
def test_polygons(points, height, width):
    points = np.array(points, dtype=np.float64)
    labels, _ = draw([Polygons(1, (points,))], (height, width), 0, 2)
    expected = crossings(points, (height, width))
    # Where an edge goes through a centre, rounding decides.
    assert (labels != expected).sum() <= 2
    assert labels.max() <= 1


def test_neighbours_neither_overlap_nor_leave_a_gap():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 30, 2), rng.uniform(0, 30, 2)
    left = Polygons(1, (np.array([a, b, (-1, 40), (-1, -1)]),))
    right = Polygons(1, (np.array([b, a, (40, -1), (40, 40), (-1, 40)]),))
    both = [draw([shape], (32, 32), 0, 2)[0] for shape in (left, right)]
    assert (both[0] + both[1]).max() <= 1


def test_a_rectangle_has_its_pixels():
    labels, unusual = draw([rectangle(3, 5, 2, 2, 4)], (6, 8), 255, 9)
    assert np.argwhere(labels == 3).tolist() == [[r, c] for r in (2, 3) for c in (2, 3, 4)]
    assert (labels == 255).sum() == 48 - 6 and not unusual


def test_an_ellipse_and_what_is_outside():
    labels, unusual = draw([Ellipse(1, (10, 10), (4, 8), 90)], (20, 20), 0, 2)
    columns, rows = labels.any(axis=0).sum(), labels.any(axis=1).sum()
    assert (columns, rows) == (16, 8), 'turned by a quarter'
    _, unusual = draw([Ellipse(1, (90, 90), (4, 4)), rectangle(1, -9, -9, 3, 3)], (20, 20), 0, 2)
    assert unusual == {NOWHERE: 1, CUT: 1}


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.integers(-25, 25), st.integers(-25, 25))
def test_run_lengths_in_a_window(height, width, seed, top, left):
    mask = np.random.default_rng(seed).random((height, width)) > 0.4
    expected = np.zeros((90, 90), dtype=bool)
    expected[top + 30 : top + 30 + height, left + 30 : left + 30 + width] = mask
    shape = Runs(1, top, left, mask.shape, runs(mask.astype(np.uint8)))
    assert np.array_equal(draw([shape], (30, 30), 0, 2)[0], expected[30:60, 30:60])
    columns = Runs(1, top, left, mask.shape, runs(mask.T.astype(np.uint8)), by_columns=True)
    assert np.array_equal(draw([columns], (30, 30), 0, 2)[0], expected[30:60, 30:60])


def test_compressed_run_lengths_are_cocos():
    masks = pytest.importorskip('pycocotools.mask', reason='compared with pycocotools')
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = rng.random(rng.integers(1, 80, 2)) > rng.random()
        encoded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        shape = Runs(1, 0, 0, mask.shape, encoded['counts'].decode(), by_columns=True)
        assert np.array_equal(shape.area(mask.shape)[2], mask)
    with pytest.raises(ValueError, match='end within'):
        coco_runs(b'o')


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match='run lengths of 7 pixels for a mask of 2 x 4'):
        draw([Runs(1, 0, 0, (2, 4), [3, 4])], (9, 9), 0, 2)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 40)), min_size=1, max_size=12))
def test_packed_brush_strokes(parts):
    values = np.repeat([value for value, _ in parts], [count for _, count in parts])
    assert np.array_equal(unpack_rle(pack_rle(values).astype(np.uint8)), values)


def test_packed_brush_strokes_that_are_cut():
    packed = pack_rle(np.arange(50)).astype(np.uint8)
    with pytest.raises(ValueError, match='too early'):
        unpack_rle(packed[:20])
