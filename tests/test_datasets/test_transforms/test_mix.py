"""Samples of several: where each comes from, and that the stream is the same after a resume."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmseg.datasets import MultiImageMixDataset
from mmseg.engine.samplers import InfiniteSampler, SeededSamples
from mmseg.registry import DATASETS, TRANSFORMS

PACK = dict(type='PackSegInputs')
SCENES = dict(
    type='SceneDataset',
    num_scenes=6,
    size=(32, 48),
    rare=dict(car=0.2),
    pipeline=[dict(type='RandomFlip', prob=0.5), dict(type='RandomCrop', crop_size=(28, 40))],
)
ALL = [
    dict(type='RandomMosaic', prob=0.5, img_scale=(32, 32)),
    dict(type='CutMix', prob=0.5),
    dict(type='ClassMix', prob=0.5),
    dict(type='CopyPaste', classes=['car', 'sign'], prob=0.7),
    dict(type='RandomRotFlip'),
    dict(type='TorchVision', transforms=[dict(type='RandomAffine', degrees=20), dict(type='ColorJitter', hue=0.2)]),
    dict(type='RandomCrop', crop_size=(24, 24)),
    PACK,
]


def plain(value, shape=(6, 8)):
    labels = np.full(shape, value, np.uint8)
    return dict(img=np.dstack([labels] * 3), gt_seg_map=labels, seg_fields=['gt_seg_map'], img_shape=shape)


def test_mosaic_quarters():
    """Around the middle: the first image upper left, then upper right, lower left, lower right."""
    mosaic = TRANSFORMS.build(dict(type='RandomMosaic', prob=1, img_scale=(6, 8), center_ratio_range=(1, 1)))
    results = mosaic({**plain(0), 'mix_results': [plain(i) for i in (1, 2, 3)]})
    labels = results['gt_seg_map']
    assert labels.shape == results['img_shape'] == (12, 16)
    assert [np.unique(labels[y, x]).tolist() for y in np.s_[:6, 6:] for x in np.s_[:8, 8:]] == [[0], [1], [2], [3]]
    # Smaller images keep their form, touch the centre, and leave the rest empty.
    wide = mosaic({**plain(0, (3, 16)), 'mix_results': [plain(i, (12, 4)) for i in (1, 2, 3)]})
    expected = np.full((12, 16), 255)
    expected[5:6, :8] = 0
    expected[:6, 8:10], expected[6:, 6:8], expected[6:, 8:10] = 1, 2, 3
    np.testing.assert_array_equal(wide['gt_seg_map'], expected)
    assert not wide['img'][expected == 255].any()


def test_ignored_pixels_are_not_a_class_to_mix():
    np.random.seed(0)
    other = plain(255)
    for kind, arguments in (('ClassMix', {}), ('CopyPaste', dict(classes=[3]))):
        mixed = TRANSFORMS.build(dict(type=kind, prob=1, **arguments))({**plain(0), 'mix_results': [other]})
        assert not mixed['gt_seg_map'].any()


def test_half_of_the_classes():
    other = plain(0)
    other['gt_seg_map'] = np.arange(48, dtype=np.uint8).reshape(6, 8) % 6
    other['gt_seg_map'][0] = 255
    mixed = TRANSFORMS.build(dict(type='ClassMix', prob=1))({**plain(9), 'mix_results': [other]})
    assert len(np.unique(mixed['gt_seg_map'])) == 1 + 3


def test_images_of_two_sizes_share_their_upper_left():
    mixed = TRANSFORMS.build(dict(type='CopyPaste', prob=1, classes=[3]))
    labels = mixed({**plain(1, (4, 9)), 'mix_results': [plain(3, (6, 5))]})['gt_seg_map']
    assert labels.shape == (4, 9) and (labels[:, :5] == 3).all() and (labels[:, 5:] == 1).all()


def test_copy_paste_looks_for_images_with_the_class():
    dataset = DATASETS.build({**SCENES, 'num_scenes': 30, 'pipeline': []})
    with_car = {i for i in range(30) if 5 in dataset.get_cat_ids(i)}
    step = TRANSFORMS.build(dict(type='CopyPaste', classes=['car'], prob=1))
    step.prepare(dataset)
    found = {index for _ in range(200) for index in step.get_indices(dataset)}
    assert 0 < len(with_car) < 30 and found == with_car
    with pytest.raises(ValueError, match="'bus' is no class"):
        TRANSFORMS.build(dict(type='CopyPaste', classes=['bus'])).prepare(dataset)
    carless = DATASETS.build({**SCENES, 'rare': dict(car=0.0)})
    with pytest.raises(ValueError, match='no image of the dataset has a pixel of'):
        TRANSFORMS.build(dict(type='CopyPaste', classes=[5])).prepare(carless)


def test_prob_is_that_of_loading_others():
    dataset = DATASETS.build(SCENES)
    for kind in ('RandomMosaic', 'CutMix'):
        step = TRANSFORMS.build(dict(type=kind, prob=0.25))
        np.random.seed(0)
        count = sum(bool(step.get_indices(dataset)) for _ in range(400))
        assert 60 < count < 140


def stream(start, workers):
    """The samples at positions 12 to 24, of a run that starts at another."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        balanced = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=SCENES)
        repeated = dict(type='RepeatDataset', times=2, dataset=balanced)
        dataset = SeededSamples(dict(type='MultiImageMixDataset', dataset=repeated, pipeline=ALL))
        sampler = InfiniteSampler(dataset, seed=3)
        sampler.seek(start)
        loader = iter(DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers, collate_fn=list))
        samples = [sample for _ in range((24 - start) // 4) for sample in next(loader)]
    return samples[12 - start :]


def test_the_stream_is_the_same_after_a_resume():
    whole = stream(0, workers=0)
    assert len({tuple(sample['inputs'].flatten().tolist()) for sample in whole}) == 12
    for resumed in (stream(12, workers=0), stream(4, workers=2)):
        for one, other in zip(whole, resumed, strict=True):
            assert torch.equal(one['inputs'], other['inputs'])
            assert torch.equal(one['data_samples'].gt_sem_seg.data, other['data_samples'].gt_sem_seg.data)


def test_albumentations_is_the_same_after_a_resume():
    pytest.importorskip('albumentations', reason='Albu is for those who have albumentations')
    step = TRANSFORMS.build(dict(type='Albu', transforms=[dict(type='Rotate', p=1), dict(type='GaussNoise', p=1)]))
    runs = []
    for before in (0, 3):
        for _ in range(before):
            step(plain(1, (20, 20)))
        np.random.seed(5)
        runs.append(step(plain(1, (20, 20))))
    np.testing.assert_array_equal(runs[0]['img'], runs[1]['img'])
    assert set(np.unique(runs[0]['gt_seg_map'])) == {1, 255}  # padding is ignored, not class 0


def test_what_a_mixed_dataset_says():
    mixed = MultiImageMixDataset(SCENES, ALL, skip_type_keys=['RandomMosaic'], lazy_init=True)
    assert len(mixed.pipeline) == len(ALL) - 1 and len(mixed) == 6
    assert mixed.metainfo['classes'][5] == 'car' and mixed.ignore_index == 255
    assert mixed.get_cat_ids(2) == mixed.dataset.get_cat_ids(2) and len(mixed.class_pixels()) == 6
    with pytest.raises(TypeError, match='move PackSegInputs'):
        MultiImageMixDataset({**SCENES, 'pipeline': [PACK]}, [dict(type='CutMix', prob=1)])[0]
    with pytest.raises(AssertionError, match='pipeline of a MultiImageMixDataset'):
        TRANSFORMS.build(dict(type='CutMix', prob=1))(plain(0))
    with pytest.raises(TypeError, match='must be a list'):
        MultiImageMixDataset(SCENES, ALL, skip_type_keys='RandomMosaic')
