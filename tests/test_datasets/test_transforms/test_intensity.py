"""Values, edges and labels of the transforms that move nothing, against plain formulas."""

import inspect

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmseg.datasets.transforms as ours
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, coded_sample

SIDES = st.integers(1, 40)


def build(kind, **arguments):
    return TRANSFORMS.build(dict(type=kind, **arguments))


def photo(height=30, width=40, channels=3, seed=0):
    img = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return dict(img=img, gt_seg_map=img[..., 0].copy(), seg_fields=['gt_seg_map'], img_shape=img.shape[:2])


def test_gamma():
    before = photo()
    after = build('AdjustGamma', gamma=2.0)(dict(before))['img']
    np.testing.assert_array_equal(after, np.floor(255 * np.sqrt(before['img'] / 255) + 1e-9).astype(np.uint8))
    np.testing.assert_array_equal(build('AdjustGamma')(dict(before))['img'], before['img'])


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_clahe_is_opencvs_on_each_channel(channels):
    before = photo(channels=channels)
    after = build('CLAHE', clip_limit=2.0, tile_grid_size=(4, 2))(dict(before))['img']
    assert after.shape == before['img'].shape
    for i in range(channels):
        one = cv2.createCLAHE(2.0, (4, 2)).apply(np.ascontiguousarray(before['img'][..., i]))
        np.testing.assert_array_equal(after[..., i], one)


def test_rerange():
    before = photo()
    after = build('Rerange', min_value=-1, max_value=1)(dict(before))['img']
    expected = (before['img'] - before['img'].min()) / np.ptp(before['img'].astype(int)) * 2 - 1
    np.testing.assert_allclose(after, expected, atol=1e-6)
    flat = build('Rerange')(dict(img=np.full((3, 3, 3), 7, np.uint8)))['img']
    assert flat.dtype == np.float32 and not flat.any()


@pytest.mark.parametrize(('out_channels', 'shape'), [(None, (30, 40, 3)), (1, (30, 40, 1)), (5, (30, 40, 5))])
def test_grey(out_channels, shape):
    before = photo()
    after = build('RGB2Gray', out_channels=out_channels)(dict(before))['img']
    assert after.shape == shape and after.dtype == np.uint8
    expected = (before['img'] * np.array([0.299, 0.587, 0.114])).sum(axis=2)
    assert np.abs(after - expected[..., None]).max() <= 0.51
    with pytest.raises(ValueError, match='3 weights .* has 4 channels'):
        build('RGB2Gray')(photo(channels=4))


def test_annotations_alone_are_rescaled():
    before = photo()
    after = build('SegRescale', scale_factor=0.5)(dict(before))
    assert after['gt_seg_map'].shape == (15, 20) and after['img'] is before['img']
    np.testing.assert_array_equal(after['gt_seg_map'], before['gt_seg_map'][::2, ::2])
    np.testing.assert_array_equal(build('SegRescale')(dict(before))['gt_seg_map'], before['gt_seg_map'])


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, seed=SEEDS, edge_width=st.sampled_from([1, 2, 3, 5]))
def test_edges(height, width, seed, edge_width):
    """Within reach of a marked pixel: the lower, left, upper left or upper right one of two neighbours that differ."""
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    results = dict(img=np.dstack([labels] * 3), gt_seg_map=labels, seg_fields=['gt_seg_map'])
    marked = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y, x + 1), (y + 1, x + 1), (y + 1, x - 1)):
                if 0 <= v < height and 0 <= u < width and 255 not in (labels[y, x], labels[v, u]):
                    marked[y, x] |= labels[y, x] != labels[v, u]
    after = build('GenerateEdge', edge_width=edge_width)(results)
    np.testing.assert_array_equal(after['gt_edge_map'], cv2.dilate(marked, np.ones((edge_width,) * 2, np.uint8)))
    assert after['seg_fields'] == ['gt_seg_map', 'gt_edge_map']
    # It moves with the annotation from then on, and is packed.
    moved = build('RandomFlip', prob=1.0, direction='vertical')({**after, 'img_shape': labels.shape})
    np.testing.assert_array_equal(moved['gt_edge_map'], after['gt_edge_map'][::-1])
    packed = build('PackSegInputs')(moved)['data_samples']
    np.testing.assert_array_equal(packed.gt_edge_map.data[0], moved['gt_edge_map'])
    with pytest.raises(ValueError, match='GenerateEdge comes after Resize and Pad'):
        build('PackSegInputs')(build('Resize', scale=(41, 41))({**after, 'img_shape': labels.shape}))


def test_holes_without_a_label_leave_annotations_alone():
    np.random.seed(0)
    before = photo()
    labels = before['gt_seg_map'].copy()
    after = build('RandomCutOut', prob=1, n_holes=2, cutout_shape=[(5, 3), (4, 4)], fill_in=7)(dict(before))
    np.testing.assert_array_equal(after['gt_seg_map'], labels)
    holes = (after['img'] == 7).all(axis=2)
    assert 1 <= holes.sum() <= 32 and (after['img'] == before['img'])[~holes].all()
    assert build('RandomCutOut', prob=0, n_holes=2, cutout_shape=(5, 3))(dict(before))['img'] is before['img']


EXAMPLES = {
    'Albu': dict(transforms=[dict(type='HorizontalFlip')]),
    'AlignResize': dict(scale=32),
    'CopyPaste': dict(classes=[1]),
    'RandomCrop': dict(crop_size=3),
    'RandomCutOut': dict(prob=1, n_holes=2, cutout_shape=(5, 3)),
    'RandomFlip': dict(prob=0.5),
    'RandomMosaic': dict(prob=1),
    'RandomRotate': dict(prob=1, degree=10),
    'Resize': dict(scale=(9, 9)),
    'ResizeShortestEdge': dict(scale=9, max_size=20),
    'TorchVision': dict(transforms=[dict(type='RandomRotation', degrees=3)]),
}


@pytest.mark.parametrize('name', sorted(ours.__all__))
def test_repr_shows_all_arguments(name):
    if name == 'Albu':
        pytest.importorskip('albumentations', reason='Albu is for those who have albumentations')
    transform = build(name, **EXAMPLES.get(name, {}))
    if type(transform).__module__.startswith('mmseg.'):  # mmcv's have their own
        for argument in inspect.signature(type(transform)).parameters:
            assert f'{argument}={getattr(transform, argument)!r}' in repr(transform)


@pytest.mark.parametrize(
    ('kind', 'arguments', 'message'),
    [
        ('AdjustGamma', dict(gamma=0), 'gamma is above 0'),
        ('CLAHE', dict(tile_grid_size=8), 'two positive integers'),
        ('Rerange', dict(min_value=2, max_value=1), 'below max_value'),
        ('RGB2Gray', dict(out_channels=0), 'out_channels is a positive'),
        ('SegRescale', dict(scale_factor=0), 'above 0'),
        ('GenerateEdge', dict(edge_width=0), 'edge_width'),
        ('RandomCutOut', dict(prob=1, n_holes=1), 'either cutout_shape or cutout_ratio'),
        ('RandomCutOut', dict(prob=2, n_holes=1, cutout_shape=(1, 1)), 'prob is from 0 to 1'),
        ('RandomCutOut', dict(prob=1, n_holes=(3, 1), cutout_shape=(1, 1)), 'n_holes'),
        ('RandomRotFlip', dict(rotate_prob=2), 'rotate_prob'),
        ('RandomMosaic', dict(prob=1.5), 'prob is from 0 to 1'),
        ('RandomMosaic', dict(prob=1, img_scale=640), 'img_scale is'),
        ('CutMix', dict(alpha=0), 'alpha is above 0'),
        ('CopyPaste', dict(classes='car'), 'classes is a list'),
        ('TorchVision', dict(transforms=[dict(type='ColourJitter')]), "did you mean 'ColorJitter'"),
    ],
)
def test_wrong_arguments(kind, arguments, message):
    with pytest.raises((ValueError, AssertionError), match=message):
        build(kind, **arguments)


@pytest.mark.parametrize('kind', ['AdjustGamma', 'CLAHE'])
def test_bytes_are_needed(kind):
    with pytest.raises(ValueError, match="needs a uint8 image, but 'a.png' is float32"):
        build(kind)(dict(img=np.zeros((3, 3, 3), np.float32), img_path='a.png'))


def test_colours_of_torchvision_are_rgb():
    results = coded_sample(4, 5, seed=0)
    results['img'] = np.dstack([np.full((4, 5), value, np.uint8) for value in (255, 0, 0)])  # blue
    grey = build('TorchVision', transforms=[dict(type='Grayscale', num_output_channels=3)])(results)['img']
    assert abs(int(grey[0, 0, 0]) - 0.114 * 255) < 2
