import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, SIDES, assert_aligned, coded_sample


def crop(results, seed=0, **kwargs):
    np.random.seed(seed)
    return TRANSFORMS.build(dict(type='RandomCrop', **kwargs))(results)


@given(
    height=SIDES,
    width=SIDES,
    crop_size=st.tuples(SIDES, SIDES),
    seed=SEEDS,
    ratio=st.sampled_from([0.2, 0.75, 1.0]),
)
def test_window_is_a_piece_of_both(height, width, crop_size, seed, ratio):
    before = coded_sample(height, width, seed)
    # where each pixel came from
    before['rows'] = np.repeat(np.arange(height)[:, None], width, 1)
    before['columns'] = np.repeat(np.arange(width)[None], height, 0)
    before['seg_fields'] += ['rows', 'columns']
    whole = before['gt_seg_map']
    results = crop(before, seed, crop_size=crop_size, cat_max_ratio=ratio)
    assert_aligned(results)
    assert results['img_shape'] == (min(height, crop_size[0]), min(width, crop_size[1]))
    top, left = results['rows'][0, 0], results['columns'][0, 0]
    bottom, right = results['rows'][-1, -1], results['columns'][-1, -1]
    assert (bottom - top + 1, right - left + 1) == results['img_shape']
    np.testing.assert_array_equal(results['gt_seg_map'], whole[top : bottom + 1, left : right + 1])


def test_every_window_is_possible():
    seen = set()
    for seed in range(200):
        results = coded_sample(4, 5, 0)
        results['gt_seg_map'] = np.arange(20, dtype=np.uint8).reshape(4, 5)
        seen.add(crop(results, seed, crop_size=(3, 3))['gt_seg_map'][0, 0])
    assert seen == {0, 1, 2, 5, 6, 7}


def test_one_class_stays_below_its_share_of_the_labelled_pixels():
    """The left half is class 3 with a column of class 4, the right half ignored with a bit of class 3."""
    labels = np.full((20, 200), 255, np.uint8)
    labels[:, :100] = 3
    labels[:, 50] = 4
    labels[:, 150] = 3
    shares = []
    for seed in range(60):
        results = dict(coded_sample(20, 200, 0), gt_seg_map=labels)
        window = crop(results, seed, crop_size=(20, 4), cat_max_ratio=0.8)['gt_seg_map']
        counts = np.bincount(window.ravel(), minlength=256)[:255]
        shares.append(counts.max() / max(counts.sum(), 1))
    # the wanted windows are 4 of 197: ten tries find one in about a fifth of the cases
    assert 3 < sum(share == 0.75 for share in shares) < 30
    assert set(shares) <= {0, 0.75, 1}


def test_a_mixed_window_is_taken_where_most_are():
    labels = np.tile(np.array([[0, 1], [1, 0]], np.uint8), (20, 20))
    labels[:, 30:] = 7
    for seed in range(50):
        results = dict(coded_sample(40, 40, 0), gt_seg_map=labels)
        window = crop(results, seed, crop_size=8, cat_max_ratio=0.75)['gt_seg_map']
        assert np.bincount(window.ravel()).max() < 0.75 * window.size


@pytest.mark.parametrize('ignore_index', [255, 7])
def test_ignored_pixels_do_not_count(ignore_index):
    """90 % are ignored and the rest is half and half, so the first window will do."""
    labels = np.full((10, 10), ignore_index, np.uint8)
    labels[0] = [0, 1] * 5
    transform = TRANSFORMS.build(dict(type='RandomCrop', crop_size=10, cat_max_ratio=0.75, ignore_index=ignore_index))
    assert transform._is_mixed(labels)
    assert not transform._is_mixed(np.full((10, 10), ignore_index, np.uint8))
    assert not transform._is_mixed(np.where(labels == 1, ignore_index, labels))
    assert not transform._is_mixed(np.where(labels == 1, ignore_index, labels).astype(np.uint16))


def test_misaligned_annotation_is_refused():
    results = dict(coded_sample(10, 12, 0), img_path='a.jpg')
    results['gt_seg_map'] = results['gt_seg_map'][:5]
    with pytest.raises(ValueError, match=r"a\.jpg.*10x12.*'gt_seg_map' is 5x12"):
        crop(results, crop_size=3)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(crop_size=0),
        dict(crop_size=(-1, 5)),
        dict(crop_size=(3, 4, 5)),
        dict(crop_size=2.5),
        dict(crop_size=3, cat_max_ratio=0),
        dict(crop_size=3, cat_max_ratio=75),
    ],
)
@pytest.mark.parametrize('error', [ValueError, AssertionError])
def test_bad_arguments(kwargs, error):
    with pytest.raises(error, match='RandomCrop'):
        TRANSFORMS.build(dict(type='RandomCrop', **kwargs))


def test_repr():
    transform = TRANSFORMS.build(dict(type='RandomCrop', crop_size=[3, 4], cat_max_ratio=0.75))
    assert repr(transform) == 'RandomCrop(crop_size=(3, 4), cat_max_ratio=0.75, ignore_index=255)'
