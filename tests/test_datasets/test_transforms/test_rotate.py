import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, SIDES, assert_aligned, coded_sample


def rotate(results, seed=0, **kwargs):
    np.random.seed(seed)
    return TRANSFORMS.build(dict(type='RandomRotate', **kwargs))(results)


@given(height=SIDES, width=SIDES, seed=SEEDS, degree=st.floats(1, 180), auto_bound=st.booleans())
def test_no_label_is_invented(height, width, seed, degree, auto_bound):
    before = coded_sample(height, width, seed)
    labels = before['gt_seg_map'].copy()
    results = rotate(before, seed, prob=1.0, degree=degree, auto_bound=auto_bound, seg_pad_val=255)
    assert set(np.unique(results['gt_seg_map'])) <= set(np.unique(labels)) | {255}
    assert results['gt_seg_map'].shape == results['img'].shape[:2] == results['img_shape']
    if not auto_bound:
        assert results['img_shape'] == (height, width)


@pytest.mark.parametrize('pad_val', [0, 114])
def test_image_and_labels_turn_together(pad_val):
    """Inside of large blocks, bilinear and nearest agree."""
    for seed in range(20):
        before = coded_sample(180, 140, seed, block=60)
        results = rotate(before, seed, prob=1.0, degree=60, pad_val=pad_val, seg_pad_val=pad_val)
        agree = (results['img'] == results['gt_seg_map'][..., None]).all(-1)
        assert agree.mean() > 0.94


@pytest.mark.parametrize('angle, turns', [(90, -1), (180, 2), (-90, 1)])
def test_positive_is_clockwise(angle, turns):
    before = coded_sample(9, 9, 0)
    labels = before['gt_seg_map'].copy()
    results = rotate(before, prob=1.0, degree=(angle, angle))
    np.testing.assert_array_equal(results['gt_seg_map'], np.rot90(labels, turns))
    assert_aligned(results)


def test_outside_is_padded_in_every_channel():
    before = coded_sample(50, 50, 0)
    results = rotate(before, prob=1.0, degree=(45, 45), pad_val=114, seg_pad_val=254)
    assert results['img'][0, 0].tolist() == [114] * 3
    assert results['gt_seg_map'][0, 0] == 254


def test_center():
    before = dict(coded_sample(3, 5, 0))
    before['gt_seg_map'] = np.arange(15, dtype=np.uint8).reshape(3, 5)
    results = rotate(before, prob=1.0, degree=(180, 180), center=[0, 0])
    assert results['gt_seg_map'][0, 0] == 0
    assert (results['gt_seg_map'].ravel()[1:] == 255).all()


def test_probability():
    labels = coded_sample(20, 20, 0)['gt_seg_map']
    turned = 0
    for seed in range(200):
        results = rotate(coded_sample(20, 20, 0), seed, prob=0.25, degree=90)
        turned += not np.array_equal(results['gt_seg_map'], labels)
    assert 30 <= turned <= 70


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(prob=2, degree=10),
        dict(prob=0.5, degree=-10),
        dict(prob=0.5, degree=(1, 2, 3)),
        dict(prob=0.5, degree=10, center=(1, 2, 3)),
        dict(prob=0.5, degree=10, center=(1, 2), auto_bound=True),
    ],
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match='RandomRotate'):
        TRANSFORMS.build(dict(type='RandomRotate', **kwargs))


def test_repr():
    assert repr(TRANSFORMS.build(dict(type='RandomRotate', prob=0.5, degree=10.0))) == (
        'RandomRotate(prob=0.5, degree=(-10.0, 10.0), pad_val=0, seg_pad_val=255, center=None, auto_bound=False)'
    )
