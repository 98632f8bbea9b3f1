import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DefaultScope

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, SIDES, assert_aligned, coded_sample


def apply(results, **cfg):
    return TRANSFORMS.build(cfg)(results)


def up(side, divisor=32):
    return -(-side // divisor) * divisor


# ---- AlignResize


@given(
    height=SIDES,
    width=SIDES,
    scale=st.tuples(st.integers(20, 160), st.integers(20, 160)),
    divisor=st.sampled_from([1, 7, 32]),
    seed=SEEDS,
)
def test_align_resize_rules(height, width, scale, divisor, seed):
    before = coded_sample(height, width, seed)
    img, labels = before['img'].copy(), before['gt_seg_map'].copy()
    results = apply(before, type='AlignResize', scale=scale, size_divisor=divisor)

    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    first = [max(int(side * factor + 0.5), 1) for side in (height, width)]
    assert results['img_shape'] == results['img'].shape[:2] == tuple(up(side, divisor) for side in first)
    assert results['scale_factor'] == (results['img_shape'][1] / width, results['img_shape'][0] / height)
    assert results['keep_ratio'] is True
    np.testing.assert_array_equal(results['gt_seg_map'], labels)

    expected = cv2.resize(img, first[::-1], interpolation=cv2.INTER_LINEAR)
    expected = cv2.resize(expected, results['img_shape'][::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(results['img'], expected)


@pytest.mark.parametrize(
    'shape, scale, expected',
    [
        ((683, 512), (2048, 512), (704, 512)),
        ((360, 480), (2048, 512), (512, 704)),  # 512 x 683 stretched
        ((100, 1000), (2048, 512), (224, 2048)),  # the longer side is the limit: 205 x 2048
        ((1024, 2048), (2048, 1024), (1024, 2048)),
    ],
)
def test_align_resize_at_the_published_scales(shape, scale, expected):
    img = np.zeros((*shape, 3), np.uint8)
    assert apply(dict(img=img), type='AlignResize', scale=scale)['img'].shape[:2] == expected


def test_align_resize_of_an_aligned_image_changes_nothing():
    results = coded_sample(64, 96, 0)
    img = results['img'].copy()
    np.testing.assert_array_equal(apply(results, type='AlignResize', scale=(96, 64))['img'], img)


def test_align_resize_other_ways_to_say_the_scale():
    def shape(**kwargs):
        return apply(coded_sample(50, 100, 0), type='AlignResize', size_divisor=8, **kwargs)['img_shape']

    assert shape(scale=[80, 30], keep_ratio=False) == (32, 80)
    assert shape(scale=60) == (32, 64)
    assert shape(scale_factor=0.5) == (32, 56)
    assert shape(scale_factor=(0.5, 2)) == (104, 56)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(scale=(64, 64), scale_factor=2.0),
        dict(scale=(64, 0)),
        dict(scale=(64, 64, 64)),
        dict(scale=0.5),
        dict(scale_factor=-1.0),
        dict(scale_factor=(1.0, 2.0, 3.0)),
        dict(scale=(64, 64), size_divisor=0),
        dict(scale=(64, 64), size_divisor=1.5),
    ],
)
def test_align_resize_bad_arguments(kwargs):
    with pytest.raises(ValueError, match='AlignResize'):
        TRANSFORMS.build(dict(type='AlignResize', **kwargs))


# ---- ResizeToMultiple


@given(height=SIDES, width=SIDES, divisor=st.integers(1, 40) | st.tuples(*[st.integers(1, 40)] * 2), seed=SEEDS)
def test_resize_to_multiple(height, width, divisor, seed):
    before = coded_sample(height, width, seed)
    labels = set(np.unique(before['gt_seg_map']))
    results = apply(before, type='ResizeToMultiple', size_divisor=divisor, interpolation='nearest')
    assert_aligned(results)
    of_width, of_height = divisor if isinstance(divisor, tuple) else (divisor, divisor)
    assert results['img_shape'] == results['pad_shape'] == (up(height, of_height), up(width, of_width))
    assert set(np.unique(results['gt_seg_map'])) <= labels


def test_resize_to_multiple_is_bilinear_for_the_image():
    before = coded_sample(20, 30, 0)
    expected = cv2.resize(before['img'], (32, 32), interpolation=cv2.INTER_LINEAR)
    labels = cv2.resize(before['gt_seg_map'], (32, 32), interpolation=cv2.INTER_NEAREST)
    results = apply(before, type='ResizeToMultiple')
    np.testing.assert_array_equal(results['img'], expected)
    np.testing.assert_array_equal(results['gt_seg_map'], labels)


@pytest.mark.parametrize('divisor', [0, -2, 1.5, (3, 0), (1, 2, 3)])
def test_resize_to_multiple_bad_arguments(divisor):
    with pytest.raises(ValueError, match='ResizeToMultiple'):
        TRANSFORMS.build(dict(type='ResizeToMultiple', size_divisor=divisor))


# ---- ResizeShortestEdge


@given(height=SIDES, width=SIDES, scale=st.integers(1, 150), max_size=st.integers(1, 200), seed=SEEDS)
def test_resize_shortest_edge(height, width, scale, max_size, seed):
    before = coded_sample(height, width, seed)
    labels = set(np.unique(before['gt_seg_map']))
    results = apply(before, type='ResizeShortestEdge', scale=scale, max_size=max_size)
    shape = results['img_shape']
    assert shape == results['img'].shape[:2] == results['gt_seg_map'].shape
    assert set(np.unique(results['gt_seg_map'])) <= labels
    assert min(shape) <= scale and max(shape) <= max_size
    assert min(shape) == scale or max(shape) == max_size
    factor = min(scale / min(height, width), max_size / max(height, width))
    np.testing.assert_allclose(shape, np.maximum([height * factor, width * factor], 1), atol=0.5001)


def test_resize_shortest_edge_at_random():
    cfg = dict(type='RandomChoiceResize', scales=[16, 24], resize_type='ResizeShortestEdge', max_size=64)
    with DefaultScope.overwrite_default_scope('mmseg'):  # mmcv builds the inner transform
        transform = TRANSFORMS.build(cfg)
    np.random.seed(0)
    shapes = {transform(coded_sample(50, 100, 0))['img_shape'] for _ in range(20)}
    assert shapes == {(16, 32), (24, 48)}


def test_resize_shortest_edge_bad_arguments():
    for kwargs in (dict(scale=-1, max_size=5), dict(scale=5, max_size=0), dict(scale=2.5, max_size=5)):
        with pytest.raises(ValueError, match='ResizeShortestEdge'):
            TRANSFORMS.build(dict(type='ResizeShortestEdge', **kwargs))
    with pytest.raises(ValueError, match='scale is 0'):
        apply(coded_sample(5, 5, 0), type='ResizeShortestEdge', scale=0, max_size=5)


@pytest.mark.parametrize(
    'cfg, expected',
    [
        (
            dict(type='AlignResize', scale=(64, 32)),
            'AlignResize(scale=(64, 32), scale_factor=None, size_divisor=32, keep_ratio=True, '
            "backend='cv2', interpolation='bilinear')",
        ),
        (dict(type='ResizeToMultiple'), 'ResizeToMultiple(size_divisor=32, interpolation=None)'),
        (
            dict(type='ResizeShortestEdge', scale=5, max_size=9),
            'ResizeShortestEdge(scale=5, max_size=9)',
        ),
    ],
)
def test_repr(cfg, expected):
    assert repr(TRANSFORMS.build(cfg)) == expected
