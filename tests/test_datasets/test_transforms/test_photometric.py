import colorsys

import numpy as np
import pytest
from hypothesis import given

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, SIDES, coded_sample

OFF = dict(brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)


def build(**kwargs):
    return TRANSFORMS.build(dict(type='PhotoMetricDistortion', **kwargs))


def distort(monkeypatch, img, brightness=0.0, contrast=1.0, contrast_first=False, saturation=1.0, hue=0):
    transform = build()
    choice = (brightness, contrast, contrast_first, saturation, hue)
    monkeypatch.setattr(transform, '_choose', lambda: choice)
    return transform(dict(img=img))['img']


def plain(values, factor, offset):
    """The arithmetic of one step, in double precision: cut off, then truncated."""
    return np.floor(np.clip(values.astype(float) * factor + offset, 0, 255)).astype(np.uint8)


@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_labels_and_input_stay(height, width, seed):
    results = coded_sample(height, width, seed)
    before, labels = results['img'].copy(), results['gt_seg_map'].copy()
    given_img = results['img']
    np.random.seed(seed)
    results = build()(results)
    assert results['img'].shape == before.shape and results['img'].dtype == np.uint8
    np.testing.assert_array_equal(results['gt_seg_map'], labels)
    np.testing.assert_array_equal(given_img, before)


@pytest.mark.parametrize('offset', [-300.0, -31.5, -0.25, 0.25, 17.75, 300.0])
def test_brightness_is_exact(monkeypatch, offset):
    np.testing.assert_array_equal(distort(monkeypatch, GREYS, brightness=offset), plain(GREYS, 1, offset))


@pytest.mark.parametrize('factor', [0.5, 0.75, 1.25, 1.5, 2.125])
def test_contrast_is_exact(monkeypatch, factor):
    for first in (False, True):
        result = distort(monkeypatch, GREYS, contrast=factor, contrast_first=first)
        np.testing.assert_array_equal(result, plain(GREYS, factor, 0))


@pytest.mark.parametrize('first', [False, True])
def test_brightness_comes_before_contrast(monkeypatch, first):
    result = distort(monkeypatch, GREYS, brightness=20.5, contrast=1.5, contrast_first=first)
    np.testing.assert_array_equal(result, plain(plain(GREYS, 1, 20.5), 1.5, 0))


def test_contrast_comes_before_or_after_colour(monkeypatch):
    """Blue is the least channel. First doubled, the pixel is (20, 200, 255), and half its saturation lifts
    blue to 255 * (1 - 235 / 255 / 2) = 137. Colour first makes it 200 * (1 - 190 / 200 / 2) = 105, doubled.
    """
    img = np.array([[[10, 100, 200]]], np.uint8)
    before = distort(monkeypatch, img, contrast=2.0, contrast_first=True, saturation=0.5)
    after = distort(monkeypatch, img, contrast=2.0, contrast_first=False, saturation=0.5)
    assert abs(int(before[0, 0, 0]) - 137) <= 2 and before[0, 0, 2] == 255
    assert abs(int(after[0, 0, 0]) - 210) <= 2 and after[0, 0, 2] == 255


def test_saturation_and_hue_against_colorsys(monkeypatch):
    img = np.random.default_rng(0).integers(0, 256, (1, 200, 3), dtype=np.uint8)
    img = img[:, img[0].max(-1) - img[0].min(-1) > 40]  # hue and saturation of greys are rounding noise
    result = distort(monkeypatch, img, saturation=0.75, hue=-15)
    for pixel, got in zip(img[0], result[0], strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(pixel[::-1] / 255))
        expected = np.array(colorsys.hsv_to_rgb((h - 30 / 360) % 1, s * 0.75, v))[::-1] * 255
        np.testing.assert_allclose(got, expected, atol=6)


def test_hue_is_a_circle(monkeypatch):
    red = np.array([[[0, 0, 255]]], np.uint8)
    assert distort(monkeypatch, red, hue=60).tolist() == [[[0, 255, 0]]]
    assert distort(monkeypatch, red, hue=-60).tolist() == [[[255, 0, 0]]]
    assert distort(monkeypatch, red, hue=180).tolist() == red.tolist()


def test_choices_are_as_published():
    np.random.seed(0)
    transform = build()
    choices = np.array([transform._choose() for _ in range(4000)], float)
    brightness, contrast, first, saturation, hue = choices.T
    for values, neutral, low, high in (
        (brightness, 0, -32, 32),
        (contrast, 1, 0.5, 1.5),
        (saturation, 1, 0.5, 1.5),
        (hue, 0, -18, 18),
    ):
        drawn = values[values != neutral]
        assert 0.45 < len(drawn) / len(values) < 0.55
        assert low <= drawn.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < drawn.max() <= high
    assert 0.45 < first.mean() < 0.55
    assert np.abs(np.corrcoef((choices != [0, 1, 0, 1, 0]).T) - np.eye(5)).max() < 0.06


def test_neutral_arguments_change_nothing():
    img = coded_sample(10, 10, 0)['img']
    for seed in range(20):
        np.random.seed(seed)
        np.testing.assert_array_equal(build(**OFF)(dict(img=img))['img'], img)


def test_a_flipped_view_is_taken(monkeypatch):
    img = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    kwargs = dict(brightness=9.5, contrast=1.2, saturation=0.7, hue=11)
    flipped = distort(monkeypatch, img[:, ::-1], **kwargs)
    np.testing.assert_array_equal(flipped[:, ::-1], distort(monkeypatch, img, **kwargs))


@pytest.mark.parametrize('img', [GREYS.astype(np.float32), GREYS[..., 0]])
def test_bad_images(img):
    with pytest.raises(ValueError, match=r"'a\.png'.*to_float32=False"):
        build()(dict(img=img, img_path='a.png'))


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(brightness_delta=-1),
        dict(contrast_range=(1.5, 0.5)),
        dict(contrast_range=1.5),
        dict(saturation_range=(-1, 1)),
        dict(hue_delta=0.5),
        dict(hue_delta=-18),
    ],
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        build(**kwargs)


def test_repr():
    assert repr(build(contrast_range=[0.9, 1.1])) == (
        'PhotoMetricDistortion(brightness_delta=32, contrast_range=(0.9, 1.1), saturation_range=(0.5, 1.5), '
        'hue_delta=18)'
    )
