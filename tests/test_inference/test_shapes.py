"""Shapes say exactly which pixels a class has."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg.inference.shapes import compress, regions, run_lengths

maps = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda s: arrays(np.uint8, s, elements=st.integers(0, 2))
)


def fill(outlines, shape):
    """Pixels inside an odd number of outlines, by shooting a ray along each row."""
    mask = np.zeros(shape, dtype=int)
    for outline in outlines:
        for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            assert (x0 == x1) != (y0 == y1)
            if x0 == x1:
                mask[min(y0, y1) : max(y0, y1), x0:] += 1
    return mask % 2 == 1


@given(maps)
@settings(max_examples=150, deadline=None)
def test_outlines_fill_to_the_region(labels):
    total = np.full(labels.shape, 255)
    for region in regions(labels, [0, 1, 2])[0]:
        mask = fill(region.outlines, labels.shape)
        assert mask.sum() == region.pixels and (labels[mask] == region.label).all() and (total[mask] == 255).all()
        total[mask] = region.label
        assert cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] == 2
        x, y, width, height = region.box
        assert mask[y : y + height, x : x + width].sum() == region.pixels
        assert np.array_equal(fill(region.outlines[:1], labels.shape) & mask, mask)  # the first holds all others
    assert np.array_equal(total, labels)


def test_a_ring_has_a_hole_and_small_regions_can_be_left_out():
    labels = np.zeros((9, 9), np.uint8)
    labels[1:8, 1:8] = 1
    labels[3:5, 3:5] = 0
    ring = regions(labels, [1])[0][0]
    assert ring.pixels == 45 and [len(o) for o in ring.outlines] == [4, 4] and ring.box == (1, 1, 7, 7)
    assert [r.pixels for r in regions(labels, [0, 1], min_pixels=5)[0]] == [32, 45]


@given(maps)
@settings(max_examples=100, deadline=None)
def test_run_lengths_are_cocos(labels):
    mask = labels == 1
    lengths = run_lengths(mask)
    values = np.repeat(np.arange(len(lengths)) % 2, lengths).reshape(mask.shape, order='F')
    assert np.array_equal(values, mask)
    coco = pytest.importorskip('pycocotools.mask')
    assert compress(lengths) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()


def test_long_runs_are_compressed_as_coco_does():
    coco = pytest.importorskip('pycocotools.mask')
    mask = np.random.default_rng(0).random((700, 900)) < np.linspace(0, 1, 900) ** 4
    mask[:, 200:500] = False
    assert compress(run_lengths(mask)) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()
