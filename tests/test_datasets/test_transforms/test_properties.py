"""What holds for every transform and every shipped pipeline, whatever the size, the labels and the random choices:

- an annotation pixel after it is one that was there before, or padding: nothing is invented, ignored stays ignored;
- it is the one that the image shows at that place.

Images are probes: their channels hold the row and the column of each pixel, as annotations do in two of three runs
with the same random choices. So each result tells where it came from. Images that are mixed lie beside each other, so
that it tells of which image, too.
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms.utils import cache_random_params
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torchvision.transforms import InterpolationMode

import mmseg.datasets.transforms as ours
from mmseg.registry import TRANSFORMS

from .helpers import SEEDS

CONFIGS = sorted((Path(__file__).parents[3] / 'configs_local').glob('[!_]*/*.py'))
SIDES = st.integers(1, 600)
LARGE = st.integers(600, 700)
PADDING = 255
CHANCE = st.sampled_from([0.0, 0.5, 1.0])
BILINEAR = InterpolationMode.BILINEAR
BASE = 1000  # added to rows and columns, so that padding is none of them

GEOMETRIC = {
    'RandomCrop': dict(crop_size=st.tuples(SIDES, SIDES), cat_max_ratio=st.sampled_from([0.2, 0.75, 1.0])),
    'RandomRotate': dict(prob=st.just(1.0), degree=st.floats(1, 180), auto_bound=st.booleans()),
    'ResizeShortestEdge': dict(scale=st.integers(1, 400), max_size=SIDES),
    'ResizeToMultiple': dict(size_divisor=st.integers(1, 64)),
    # mmcv's, which the recipes use
    'Resize': dict(scale=st.tuples(SIDES, SIDES)),
    # As large as not to make nothing of an image of 1x600.
    'RandomResize': dict(scale=st.tuples(LARGE, LARGE), ratio_range=st.just((0.5, 2.0)), keep_ratio=st.booleans()),
    'RandomChoiceResize': dict(
        resize_type=st.just('ResizeShortestEdge'), scales=st.lists(st.integers(1, 400), min_size=1), max_size=SIDES
    ),
    'RandomFlip': dict(prob=st.just([0.3, 0.3, 0.3]), direction=st.just(['horizontal', 'vertical', 'diagonal'])),
    'Pad': dict(size_divisor=st.integers(1, 64), pad_val=st.just(dict(img=0, seg=PADDING))),
    'RandomRotFlip': dict(rotate_prob=CHANCE, flip_prob=CHANCE, degree=st.floats(1, 180)),
    'RandomCutOut': dict(
        prob=st.just(1.0),
        n_holes=st.tuples(st.integers(0, 2), st.integers(2, 4)),
        cutout_ratio=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3),
        fill_in=st.just((0, 0)),
        seg_fill_in=st.just(PADDING),
    ),
    'RandomMosaic': dict(
        prob=st.just(1.0), img_scale=st.tuples(st.integers(1, 300), st.integers(1, 300)), seg_pad_val=st.just(PADDING)
    ),
    'CutMix': dict(prob=st.just(1.0), alpha=st.floats(0.1, 4)),
    'ClassMix': dict(prob=st.just(1.0)),
    'CopyPaste': dict(prob=st.just(1.0), classes=st.lists(st.integers(0, 255), min_size=1, max_size=100)),
    'TorchVision': dict(
        transforms=st.lists(
            st.sampled_from(
                [
                    dict(type='RandomHorizontalFlip'),
                    dict(type='RandomCrop', size=(90, 150), pad_if_needed=True),
                    dict(type='RandomApply', transforms=[dict(type='RandomVerticalFlip', p=1.0)]),
                ]
            ),
            min_size=1,
        ).map(
            lambda steps: [*steps, dict(type='RandomAffine', degrees=180, translate=(0.2, 0.2), interpolation=BILINEAR)]
        )
    ),
    'Albu': dict(
        transforms=st.lists(
            st.sampled_from([dict(type='HorizontalFlip'), dict(type='Transpose'), dict(type='GridDropout', p=0)])
        ).map(lambda steps: [*steps, dict(type='OneOf', transforms=[dict(type='Rotate', limit=180, p=1.0)], p=0.7)])
    ),
}
MIXING = {'CutMix', 'ClassMix', 'CopyPaste', 'RandomMosaic'}
TURNING = {'RandomRotate', 'RandomRotFlip', 'TorchVision', 'Albu'}
HERE = sorted(GEOMETRIC if importlib.util.find_spec('albumentations') else set(GEOMETRIC) - {'Albu'})
# Read files or pack: test_loading.py, test_formatting.py. Change the image alone: the tests further down.
OTHERS = {
    *('LoadAnnotations', 'LoadImageFromFile', 'LoadImageFromNDArray', 'PackSegInputs'),
    *('AlignResize', 'PhotoMetricDistortion'),
    *('AdjustGamma', 'CLAHE', 'GenerateEdge', 'RGB2Gray', 'Rerange', 'SegRescale'),  # test_intensity.py, test_edge.py
}


@pytest.fixture(scope='module', autouse=True)
def scope():
    """That of configs, in which mmcv's RandomChoiceResize finds our resizes."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def test_every_transform_is_looked_at():
    assert set(ours.__all__) <= set(GEOMETRIC) | OTHERS


def arguments(name):
    return st.fixed_dictionaries(dict(type=st.just(name), **GEOMETRIC[name]))


def random_labels(height, width, seed):
    """In blocks, so that crops meet one class as well as many; all values from 0 to 255 occur in large maps."""
    rng = np.random.default_rng(seed)
    block = int(rng.integers(1, 40))
    coarse = rng.integers(0, 256, (-(-height // block), -(-width // block)), dtype=np.uint8)
    return np.kron(coarse, np.ones((block, block), np.uint8))[:height, :width]


def sample(img, labels):
    return dict(
        img=img.copy(),
        gt_seg_map=labels.copy(),
        img_shape=img.shape[:2],
        ori_shape=img.shape[:2],
        seg_fields=['gt_seg_map'],
    )


def apply(transforms, img, labels, others=()):
    """The results; and by rows and columns, in pixels of the input, how large a pixel of the output is, and how far
    apart nearest and bilinear may be: half a pixel from before and half a one from after each resize.

    ``others`` are the images and labels to mix with.
    """
    results = sample(img, labels)
    step, apart = np.ones(2), np.zeros(2)
    for transform in transforms:
        before = results['img'].shape[:2]
        if hasattr(transform, 'get_indices'):
            results['mix_results'] = [sample(*other) for other in others[: transform.others]]
        results = transform(results)
        assert results['img_shape'] == results['img'].shape[:2]
        if 'Resize' in type(transform).__name__:
            factor = np.divide(before, results['img'].shape[:2])
            apart += step * (1 + factor) / 2
            step *= factor
        if 'Mosaic' in type(transform).__name__:
            factor, of_others = (np.divide(size, transform.quarter_size(*size)) for size in (before, img.shape[:2]))
            apart = np.maximum(apart + step * (1 + factor) / 2, (1 + of_others) / 2)
            step = np.maximum(step * factor, of_others)
    return results, step, apart


def assert_moves_together(cfgs, height, width, seed):
    types = {cfg['type'] for cfg in cfgs}
    transforms = [TRANSFORMS.build(cfg) for cfg in cfgs]
    np.random.seed(seed)
    parts = 4 if types & MIXING else 1
    rows, columns = np.indices((height, parts * width)) + BASE
    img = np.dstack([rows, columns]).astype(np.float32)
    labels = random_labels(height, parts * width, seed)

    def run(labels):
        images = [(img[:, i * width :][:, :width], labels[:, i * width :][:, :width]) for i in range(parts)]
        return apply(transforms, *images[0], images[1:])

    with cache_random_params(transforms):
        after, step, apart = run(labels)
        found = [run(place.astype(np.uint16))[0] for place in (rows, columns)]
    for other in found:
        np.testing.assert_array_equal(other['img'], after['img'])
    y, x = (other['gt_seg_map'].astype(int) for other in found)

    assert after['gt_seg_map'].shape == y.shape == after['img'].shape[:2] and after['gt_seg_map'].dtype == np.uint8
    inside = y != PADDING
    np.testing.assert_array_equal(inside, x != PADDING)
    np.testing.assert_array_equal(after['gt_seg_map'][inside], labels[y[inside] - BASE, x[inside] - BASE])
    assert (after['gt_seg_map'][~inside] == PADDING).all()

    if types & TURNING:
        apart = apart.max() + np.full(2, step.max())  # rows and columns may have changed places
        # At the rim padding mixes into the image.
        inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    for place, channel, limit in zip((y, x), (0, 1), apart, strict=True):
        assert np.abs(after['img'][..., channel] - place)[inside].max(initial=0) <= limit + 0.01, cfgs


@pytest.mark.parametrize('name', sorted(GEOMETRIC))
@settings(max_examples=15, deadline=None)
@given(data=st.data(), height=SIDES, width=SIDES, seed=SEEDS)
def test_one_transform(name, data, height, width, seed):
    if name == 'Albu':
        pytest.importorskip('albumentations', reason='Albu is for those who have albumentations')
    assert_moves_together([data.draw(arguments(name))], height, width, seed)


@settings(max_examples=20, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    seed=SEEDS,
    chain=st.lists(st.sampled_from(HERE).flatmap(arguments), min_size=2, max_size=4),
)
def test_chains(height, width, seed, chain):
    """In any order, but for what brings in padding or seams: what resizes or turns would mix it with the image.

    Nothing is mixed into what was turned: it could cover the padding that says where the rim is.
    """
    turning = next(({name} for name in TURNING for step in chain if step['type'] == name), set())
    last = (
        {'RandomMosaic'} if any(step['type'] == 'RandomMosaic' for step in chain) else {*turning, 'RandomCutOut', 'Pad'}
    )
    ends = [*sorted(last & TURNING), 'RandomMosaic', 'RandomCutOut', 'Pad', *sorted(MIXING - {'RandomMosaic'})]
    free = [step for step in chain if step['type'] not in {*ends, *TURNING, 'RandomCutOut', 'Pad'}]
    last |= set() if last & TURNING else MIXING
    ends = [next((step for step in chain if step['type'] == name), None) for name in ends if name in last]
    assert_moves_together(free + [step for step in ends if step], height, width, seed)


READERS = ('LoadImageFromFile', 'LoadAnnotations')


def shipped(loader, without=READERS):
    """The pipelines of all configs, each once, without the steps that read files."""
    pipelines = {}
    for file in CONFIGS:
        steps = Config.fromfile(file)[loader].dataset.pipeline
        steps = [step for step in steps if step.type not in without]
        pipelines.setdefault(str(steps), (file.stem, steps))
    return [pytest.param(steps, id=name) for name, steps in pipelines.values()]


@pytest.mark.parametrize('pipeline', shipped('train_dataloader'))
@settings(max_examples=6, deadline=None)
@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_shipped_training_pipelines(pipeline, height, width, seed):
    geometry = [step for step in pipeline if step.type in GEOMETRIC]
    assert {step.type for step in pipeline} <= set(GEOMETRIC) | OTHERS
    assert_moves_together(geometry, height, width, seed)

    labels = random_labels(height, width, seed)
    results = apply([TRANSFORMS.build(step) for step in pipeline[:-1]], np.dstack([labels] * 3), labels)[0]
    packed = TRANSFORMS.build(pipeline[-1])(results)
    found = packed['data_samples'].gt_sem_seg.data
    assert set(found.unique().tolist()) <= set(labels.ravel().tolist())
    assert packed['inputs'].shape[1:] == found.shape[1:]


@pytest.mark.parametrize('pipeline', shipped('test_dataloader', without=READERS[:1]))
@settings(max_examples=6, deadline=None)
@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_shipped_test_pipelines_leave_annotations_alone(pipeline, height, width, seed):
    """They load them after the resize; scenes come with theirs."""
    labels = random_labels(height, width, seed)
    img = np.dstack([labels] * 3)
    results = dict(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2], seg_fields=[])
    annotation = dict(gt_seg_map=labels.copy(), seg_fields=['gt_seg_map'])
    if 'LoadAnnotations' not in [step.type for step in pipeline]:
        results |= annotation
    for step in pipeline:
        results = {**results, **annotation} if step.type == 'LoadAnnotations' else TRANSFORMS.build(step)(results)
    np.testing.assert_array_equal(results['data_samples'].gt_sem_seg.data[0], labels)


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, scale=st.tuples(SIDES, SIDES), divisor=st.integers(1, 64), keep_ratio=st.booleans())
def test_align_resize_stretches_evenly(height, width, scale, divisor, keep_ratio):
    """Each output pixel shows the place in the image that its centre stands for."""
    rows, columns = np.indices((height, width))
    img = np.dstack([rows, columns]).astype(np.float32)
    cfg = dict(type='AlignResize', scale=scale, size_divisor=divisor, keep_ratio=keep_ratio)
    transform = TRANSFORMS.build(cfg)
    after, step, _ = apply([transform], img, rows.astype(np.uint16))
    np.testing.assert_array_equal(after['gt_seg_map'], rows)
    first = transform._first_size(width, height)[::-1]
    for channel, (side, size) in enumerate(zip(after['img'].shape[:2], (height, width), strict=True)):
        centres = ((np.arange(side) + 0.5) * step[channel] - 0.5).clip(0, size - 1)
        found = np.moveaxis(after['img'][..., channel], channel, -1)
        # Half a pixel at either end of the first resize is held, not continued.
        assert np.abs(found - centres).max() <= max(size / first[channel] - 1, step[channel], 1) / 2 + 0.01


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_photometric_distortion_moves_nothing(height, width, seed):
    """What had one colour has one colour after it, in the same pixels."""
    labels = random_labels(height, width, seed) % 8
    colours = np.random.default_rng(seed).integers(0, 256, (8, 3), dtype=np.uint8)
    np.random.seed(seed)
    after = apply([TRANSFORMS.build(dict(type='PhotoMetricDistortion'))], colours[labels], labels)[0]
    np.testing.assert_array_equal(after['gt_seg_map'], labels)
    for label in np.unique(labels):
        # OpenCV rounds colours at the end of a row in another way.
        assert np.ptp(after['img'][labels == label].astype(int), axis=0).max() <= 4
