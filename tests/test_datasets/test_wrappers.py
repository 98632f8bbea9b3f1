"""Datasets made of datasets, as configs state them."""

import math
import os
from collections import Counter

import cv2
import mmengine.dataset
import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATASETS as ROOT
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmseg.datasets import ClassBalancedDataset, ConcatDataset, RepeatDataset, SceneDataset
from mmseg.engine.runner import hand_down_data_root
from mmseg.engine.samplers import InfiniteSampler, SampleIndex, SeededSamples
from mmseg.registry import DATASETS

CLASSES = ('background', 'crack')
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
# Masks that mean the same: value of "no class" (None: there is none), of background, of crack; how a config says so.
CONVENTIONS = {
    'plain': ((255, 0, 1), {}),
    'visible': ((7, 0, 255), dict(label_map={255: 1, 7: -1})),
    'from one': ((0, 1, 2), dict(reduce_zero_label=True)),
}
CLASS_MAP = np.array([[0, 0, 1, 1], [1, 0, 2, 2]])  # of all images: 0 no class, 1 background, 2 crack


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def write(folder, values, count=3, only=None):
    for name in ('img', 'ann'):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / f'img/{index}.jpg'), np.full((2, 4, 3), 9 * index, np.uint8))
        classes = CLASS_MAP if only is None or index in only else np.minimum(CLASS_MAP, 1)
        cv2.imwrite(str(folder / f'ann/{index}.png'), np.array(values, np.uint8)[classes])


def folder_config(folder, label_map=None, classes=CLASSES, **settings):
    metainfo = dict(classes=classes, **({'label_map': label_map} if label_map else {}))
    prefix = dict(img_path=f'{folder}/img', seg_map_path=f'{folder}/ann')
    return dict(type='BaseSegDataset', data_prefix=prefix, metainfo=metainfo, pipeline=LOAD, **settings)


@pytest.fixture
def parts(tmp_path):
    for name, (values, _) in CONVENTIONS.items():
        write(tmp_path / name, values)
    return [folder_config(name, **settings) for name, (_, settings) in CONVENTIONS.items()]


def test_folders_of_different_conventions_join(tmp_path, parts):
    config = dict(type='ConcatDataset', datasets=parts)
    expected = np.array([255, 0, 1])[CLASS_MAP]
    with DefaultScope.overwrite_default_scope('mmseg'):
        built = [DATASETS.build(hand_down_data_root(config, str(tmp_path))), None]
        built[1] = ROOT.build(hand_down_data_root(config, str(tmp_path)))  # as a data loader does
    for dataset in built:
        assert len(dataset) == 9
        assert all(np.array_equal(dataset[i]['data_samples'].gt_sem_seg.data[0], expected) for i in range(9))
        assert dataset.get_cat_ids(8) == [0, 1]
        # What only one part says is no fact about the whole.
        assert set(dataset.metainfo) == {'classes', 'palette'} and list(dataset.metainfo['classes']) == list(CLASSES)
        assert dataset.ignore_index == 255


def test_what_a_model_sees_must_agree(tmp_path, parts):
    parts = [{**part, 'data_root': str(tmp_path), 'lazy_init': True} for part in parts]
    other = {**parts[1], 'metainfo': dict(classes=CLASSES[::-1])}
    with pytest.raises(ValueError, match=r"classes of dataset 0 .*'crack'\] and of dataset 2 \['crack'"):
        ConcatDataset([parts[0], parts[2], other], lazy_init=True)
    assert ConcatDataset([parts[0], other], lazy_init=True, ignore_keys='classes')
    with pytest.raises(ValueError, match='ignore_index of dataset 0 is 255 and of dataset 1 254'):
        ConcatDataset([parts[0], RepeatDataset({**parts[0], 'ignore_index': 254}, 2, True)], lazy_init=True)
    assert len(ConcatDataset(parts, ignore_keys=['label_map', 'reduce_zero_label'])) == 9
    with pytest.raises(ValueError, match='at least one'):
        ConcatDataset([])
    with pytest.raises(ValueError, match='times'):
        RepeatDataset(parts[0], times=0)
    with pytest.raises(ValueError, match='oversample_thr'):
        ClassBalancedDataset(parts[0], oversample_thr=2)


@pytest.mark.parametrize('wrapper', [ClassBalancedDataset, mmengine.dataset.ClassBalancedDataset])
def test_rare_classes_are_repeated(tmp_path, wrapper):
    """Crack in 1 of 9 images: sqrt(0.5 / (1/9)) = 2.1, so three times."""
    write(tmp_path, (255, 0, 1), count=9, only=[4])
    config = folder_config(tmp_path)
    dataset = wrapper(DATASETS.build(config), oversample_thr=0.5)
    assert dataset.repeat_indices == [0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8]
    assert dataset.get_cat_ids(5) == [0, 1] and dataset.get_cat_ids(0) == [0]
    assert math.ceil(math.sqrt(0.5 * 9)) == 3


def test_wrappers_in_wrappers(tmp_path, parts):
    balanced = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=dict(type='ConcatDataset', datasets=parts))
    joined = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, dataset=balanced), parts[0]])
    dataset = DATASETS.build(hand_down_data_root(joined, str(tmp_path)))
    assert len(dataset) == 2 * 9 + 3 and dataset.get_cat_ids(20) == [0, 1]
    # The same of objects.
    objects = [DATASETS.build(hand_down_data_root(part, str(tmp_path))) for part in parts]
    inner = ClassBalancedDataset(RepeatDataset(ConcatDataset(objects), 3), 0.1)
    assert len(ConcatDataset([inner, objects[0]])) == 30


def test_classes_are_counted_once(tmp_path, parts, cache, monkeypatch):
    part = {**parts[1], 'data_root': str(tmp_path)}
    assert DATASETS.build(part).get_cat_ids(0) == [0, 1]
    (file,) = cache.rglob('*.json')
    # Kept in memory, and on the disk for the next run: no annotation is opened again.
    with monkeypatch.context() as patch:
        patch.setattr('mmseg.datasets.transforms.loading.read_bytes', None)
        assert DATASETS.build(part).get_cat_ids(2) == [0, 1]
        with pytest.raises(ValueError, match='cannot be counted'):  # another rule
            DATASETS.build({**part, 'ignore_index': 200}).get_cat_ids(2)
    cv2.imwrite(str(tmp_path / 'visible/ann/2.png'), np.zeros((2, 4), np.uint8))  # another file
    assert DATASETS.build(part).get_cat_ids(2) == [0]
    file.write_bytes(b'[[')  # a broken cache is none
    monkeypatch.setenv('XDG_CACHE_HOME', str(file))  # one that cannot be written, neither
    assert DATASETS.build(part).get_cat_ids(1) == [0, 1]


def test_counting_says_what_is_wrong(tmp_path, parts):
    part = {**parts[0], 'data_root': str(tmp_path)}
    (tmp_path / 'plain/ann/1.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'plain/ann/1\.png'):
        DATASETS.build(part).get_cat_ids(0)
    dataset = DATASETS.build({**part, 'max_bad_samples': 1})
    assert [dataset.get_cat_ids(index) for index in range(3)] == [[0, 1], [], [0, 1]]
    cv2.imwrite(str(tmp_path / 'plain/ann/1.png'), np.full((2, 4), 9, np.uint8))
    with pytest.raises(ValueError, match=r'plain/ann/1\.png.* holds label\(s\) 9'):
        DATASETS.build({**part, 'max_bad_samples': 1}).get_cat_ids(0)
    prefix = dict(img_path=f'{tmp_path}/plain/img')
    with pytest.raises(ValueError, match='without label maps'):
        DATASETS.build({**part, 'data_prefix': prefix}).get_cat_ids(0)


def test_samples_are_seeded_one_by_one_also_inside_of_wrappers(tmp_path):
    scenes = dict(
        type='SceneDataset',
        num_scenes=4,
        size=(32, 32),
        pipeline=[dict(type='PhotoMetricDistortion'), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')],
    )
    config = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=3, dataset=scenes), scenes])
    with DefaultScope.overwrite_default_scope('mmseg'):
        streams = []
        for workers in (0, 2):
            dataset = SeededSamples(config)
            loader = DataLoader(
                dataset,
                batch_size=4,
                sampler=InfiniteSampler(dataset, seed=3),
                num_workers=workers,
                collate_fn=list,
            )
            batches = iter(loader)
            streams.append([sample['inputs'] for _ in range(4) for sample in next(batches)])
        assert len(dataset) == 16
        assert all(torch.equal(a, b) for a, b in zip(*streams, strict=True))
        # One scene at two positions is augmented in two ways.
        first, second = (dataset[SampleIndex(1, position, 3)]['inputs'] for position in (0, 1))
        assert not torch.equal(first, second)


def test_every_image_of_a_joined_set_is_evaluated_once(tmp_path, parts):
    dataset = ConcatDataset([{**part, 'data_root': str(tmp_path)} for part in parts])
    loader = DataLoader(dataset, batch_size=2, sampler=DefaultSampler(dataset, shuffle=False), collate_fn=list)
    paths = [sample['data_samples'].img_path for batch in loader for sample in batch]
    assert Counter(os.path.dirname(path) for path in paths) == {f'{tmp_path}/{name}/img': 3 for name in CONVENTIONS}


def test_scenes_have_classes_too():
    scenes = SceneDataset(num_scenes=3, size=(64, 64))
    assert scenes.get_cat_ids(1) == np.unique(scenes.get_data_info(1)['gt_seg_map']).tolist()
