"""The pipelines of the recipes, with the transforms that come from mmcv."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms.utils import cache_random_params
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS, assert_aligned, coded_sample

SIDES = st.integers(10, 200)


def build(*cfgs):
    return [TRANSFORMS.build(cfg) for cfg in cfgs]


@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_training_geometry_moves_image_and_labels_together(height, width, seed):
    """mmcv's resize, flip and padding and our crop; the resize with nearest pixels, to be exact."""
    np.random.seed(seed)
    results = coded_sample(height, width, seed)
    labels = set(np.unique(results['gt_seg_map']))
    for transform in build(
        dict(
            type='RandomResize',
            scale=(160, 64),
            ratio_range=(0.5, 2.0),
            keep_ratio=True,
            interpolation='nearest',
        ),
        dict(type='RandomCrop', crop_size=(48, 40), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomRotate', prob=0.5, degree=(180, 180), pad_val=255),
    ):
        results = transform(results)
        if not isinstance(transform, TRANSFORMS.get('RandomRotate')):
            assert_aligned(results)
    assert set(np.unique(results['gt_seg_map'])) <= labels | {255}
    assert results['img_shape'] <= (48, 40)


@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_mmcv_pads_annotations_with_ignored(height, width, seed):
    results = coded_sample(height, width, seed)
    results = TRANSFORMS.build(dict(type='Pad', size_divisor=32, pad_val=dict(img=255, seg=255)))(results)
    assert_aligned(results)
    assert (results['gt_seg_map'][height:] == 255).all() and (results['gt_seg_map'][:, width:] == 255).all()


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / 'a.png'), rng.integers(0, 256, (60, 90, 3), dtype=np.uint8))
    cv2.imwrite(str(tmp_path / 'a_labels.png'), rng.integers(0, 20, (60, 90), dtype=np.uint8))
    return dict(
        img_path=str(tmp_path / 'a.png'),
        seg_map_path=str(tmp_path / 'a_labels.png'),
        reduce_zero_label=True,
        num_classes=19,
        seg_fields=[],
    )


def compose(*cfgs):
    """As a dataset builds its pipeline: through mmengine's registry, in the scope of the package."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return Compose(cfgs)


def test_training_recipe(files):
    pipeline = compose(
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='RandomResize', scale=(160, 64), ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(32, 32), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    )
    assert type(pipeline.transforms[0]).__module__.startswith('mmseg.')
    np.random.seed(0)
    first, second = pipeline(dict(files)), pipeline(dict(files))
    np.random.seed(0)
    again = pipeline(dict(files))
    assert first['inputs'].shape == (3, 32, 32)
    assert first['data_samples'].gt_sem_seg.data.shape == (1, 32, 32)
    assert set(first['data_samples'].gt_sem_seg.data.unique().tolist()) <= {*range(19), 255}
    assert first['inputs'].equal(again['inputs']) and not first['inputs'].equal(second['inputs'])
    assert first['data_samples'].img_shape == (32, 32)
    assert first['data_samples'].ori_shape == (60, 90)


def test_test_recipe_keeps_the_annotation(files):
    pipeline = compose(
        dict(type='LoadImageFromFile'),
        dict(type='AlignResize', scale=(160, 64), keep_ratio=True, size_divisor=32),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    )
    packed = pipeline(files)
    assert packed['inputs'].shape == (3, 64, 96)
    assert packed['data_samples'].gt_sem_seg.data.shape == (1, 60, 90)
    assert packed['data_samples'].ori_shape == (60, 90)
    assert packed['data_samples'].scale_factor == (96 / 90, 64 / 60)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='RandomCrop', crop_size=(20, 20), cat_max_ratio=0.5),
        dict(type='RandomRotate', prob=0.5, degree=90),
        dict(type='PhotoMetricDistortion'),
    ],
)
def test_random_choices_can_be_shared_between_images(cfg):
    transform = TRANSFORMS.build(cfg)
    np.random.seed(0)
    with cache_random_params(transform):
        outputs = [transform(coded_sample(60, 60, 0))['img'] for _ in range(10)]
    for output in outputs:
        np.testing.assert_array_equal(output, outputs[0])
    different = [transform(coded_sample(60, 60, 0))['img'] for _ in range(10)]
    assert any(not np.array_equal(output, outputs[0]) for output in different)
