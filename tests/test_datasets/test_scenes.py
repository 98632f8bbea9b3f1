import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset.utils import pseudo_collate
from torch.utils.data import DataLoader

from mmseg.datasets.scenes import SceneDataset
from mmseg.registry import DATASETS

CLASSES = ('sky', 'ground', 'road', 'building', 'tree', 'car', 'person', 'sign')
CONFIG = Path(__file__).parents[2] / 'configs_local' / '_base_' / 'datasets' / 'scenes_128x128.py'


def drawn(dataset):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return np.stack([info['img'] for info in infos]), np.stack([info['gt_seg_map'] for info in infos])


@pytest.fixture(scope='module')
def train_scenes():
    return drawn(SceneDataset(num_scenes=100))


@pytest.fixture(scope='module')
def val_scenes():
    return drawn(SceneDataset(num_scenes=100, split='val'))


def mean_iou(prediction, label):
    pairs = np.bincount((label.astype(int) * 8 + prediction).ravel(), minlength=64).reshape(8, 8)
    return 100 * np.mean(np.diag(pairs) / (pairs.sum(0) + pairs.sum(1) - np.diag(pairs)))


def most_frequent(keys, labels, num_keys):
    """The most frequent label of each key."""
    counts = np.bincount((keys * 8 + labels).ravel(), minlength=num_keys * 8)
    return counts.reshape(num_keys, 8).argmax(1)


# What a scene is.


def test_sample_holds_what_pipelines_expect():
    info = SceneDataset(num_scenes=3, size=(64, 96), seed=7).get_data_info(2)
    assert info['img'].shape == (64, 96, 3) and info['img'].dtype == np.uint8
    assert info['gt_seg_map'].shape == (64, 96) and info['gt_seg_map'].dtype == np.uint8
    assert info['ori_shape'] == info['img_shape'] == (64, 96)
    assert info['seg_fields'] == ['gt_seg_map']
    assert info['reduce_zero_label'] is False and info['label_map'] is None
    assert info['num_classes'] == 8 and info['ignore_index'] == 255
    assert info['img_path'] == 'scene_train_7_000002.png' and info['sample_idx'] == 2


@pytest.mark.parametrize('size', [(32, 32), (32, 300), (210, 70), (256, 512)])
def test_every_size_is_drawn(size):
    images, labels = drawn(SceneDataset(num_scenes=8, size=size))
    assert labels.shape == (8, *size) and labels.max() < 8
    assert len(np.unique(labels)) >= 6
    assert all(image.std() > 10 for image in images)


def test_drawing_scales_with_the_picture():
    _, small = drawn(SceneDataset(num_scenes=10))
    _, large = drawn(SceneDataset(num_scenes=10, size=(256, 256)))
    assert np.mean(small == large[:, ::2, ::2]) > 0.95


def test_labels_lie_exactly_on_the_picture(train_scenes):
    """Colours change most across the label's borders, not a pixel beside them."""
    images, labels = train_scenes
    images = images[:100].astype(np.int32)
    for axis in (1, 2):
        border = np.diff(labels[:100], axis=axis) != 0
        change = np.abs(np.diff(images, axis=axis)).sum(-1)
        contrast = {shift: change[np.roll(border, shift, axis)].mean() for shift in (-2, -1, 0, 1, 2)}
        assert max(contrast, key=contrast.get) == 0
        assert contrast[0] > 1.5 * change.mean()


# Deterministic by seed, split and index.


def test_a_scene_depends_on_nothing_but_seed_split_and_index():
    one = SceneDataset(num_scenes=6, seed=3)
    forwards = [one.get_data_info(index) for index in range(6)]
    other = SceneDataset(num_scenes=50, seed=3, serialize_data=False)
    np.random.seed(0)
    for index in (5, 0, 3):
        info = other.get_data_info(index)
        assert np.array_equal(info['img'], forwards[index]['img'])
        assert np.array_equal(info['gt_seg_map'], forwards[index]['gt_seg_map'])


def test_workers_draw_the_same_scenes():
    dataset = SceneDataset(num_scenes=6, size=(48, 48), pipeline=[dict(type='PackSegInputs')])
    alone = [dataset[index] for index in range(6)]
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=pseudo_collate)
    images = [image for batch in loader for image in batch['inputs']]
    assert all(torch.equal(image, item['inputs']) for image, item in zip(images, alone, strict=True))


def test_seeds_splits_and_indices_share_no_scene():
    keys = set()
    for seed in (0, 1):
        for split in ('train', 'val', 'test'):
            images, _ = drawn(SceneDataset(num_scenes=3, seed=seed, split=split, size=(32, 32)))
            keys |= {image.tobytes() for image in images}
    assert len(keys) == 2 * 3 * 3


@pytest.mark.parametrize(
    ('options', 'shares', 'colour'),
    [
        ({}, [12.98, 13.24, 41.03, 1.23, 11.49, 4.0, 8.54, 7.5], [155.05, 147.5, 151.66]),
        (
            dict(size=(96, 200), seed=3, split='val', rare=dict(car=0.2, tree=0.5)),
            *([0.38, 28.13, 36.65, 11.55, 10.11, 0.74, 7.18, 5.26], [158.0, 146.06, 129.21]),
        ),
    ],
)
def test_scenes_stay_the_same(options, shares, colour):
    """Published scores are of these: one draw more or less, and all that follow differ. Rounding may."""
    info = SceneDataset(num_scenes=18, **options).get_data_info(17)
    found = 100 * np.bincount(info['gt_seg_map'].ravel(), minlength=8) / info['gt_seg_map'].size
    assert found == pytest.approx(shares, abs=0.3)
    assert info['img'].mean((0, 1)) == pytest.approx(colour, abs=0.5)


# Hard enough, and balanced enough to be learned.


def test_every_class_is_common_and_large_enough(train_scenes):
    _, labels = train_scenes
    for index, name in enumerate(CLASSES):
        pixels = (labels == index).sum((1, 2))
        assert np.mean(pixels > 60) > 0.5, name
        assert pixels.sum() / labels.size > 0.025, name
    for name in ('person', 'sign'):
        assert np.mean((labels == CLASSES.index(name)).sum((1, 2)) > 60) > 0.9


def test_position_does_not_decide(train_scenes, val_scenes):
    (_, labels), (_, held_out) = train_scenes, val_scenes
    place = np.arange(128 * 128).reshape(128, 128)
    vote = most_frequent(np.broadcast_to(place, labels.shape), labels, 128 * 128)
    assert mean_iou(np.broadcast_to(vote[place], held_out.shape), held_out) < 35


def test_colour_does_not_decide(train_scenes, val_scenes):
    (images, labels), (pictures, held_out) = train_scenes, val_scenes

    def colour(image):  # 4096 bins
        b, g, r = np.moveaxis(image.astype(int) // 16, -1, 0)
        return (b * 16 + g) * 16 + r

    vote = most_frequent(colour(images), labels, 4096)
    assert mean_iou(vote[colour(pictures)], held_out) < 35


# What users of mmengine's datasets expect.


def test_metainfo_and_registry():
    dataset = DATASETS.build(dict(type='SceneDataset', num_scenes=4))
    assert dataset.metainfo['classes'] == CLASSES and len(dataset.metainfo['palette']) == 8
    assert dataset.metainfo['label_map'] is None and dataset.metainfo['reduce_zero_label'] is False
    names = tuple('abcdefgh')
    assert SceneDataset(num_scenes=4, metainfo=dict(classes=names)).metainfo['classes'] == names


def test_construction_is_lazy_and_subsets_keep_their_scenes():
    dataset = SceneDataset(num_scenes=10, size=(32, 32), lazy_init=True)
    assert dataset.data_list == [] and dataset.metainfo['classes'] == CLASSES
    dataset.full_init()
    assert len(dataset) == 10
    chosen = SceneDataset(num_scenes=10, size=(32, 32), indices=[7, 2])
    assert len(chosen) == 2
    assert np.array_equal(chosen.get_data_info(0)['img'], dataset.get_data_info(7)['img'])
    assert np.array_equal(dataset.get_subset(-1).get_data_info(0)['img'], dataset.get_data_info(9)['img'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_scenes=0), 'num_scenes=0'),
        (dict(size=(16, 128)), r'size=\(16, 128\)'),
        (dict(size=(128, 128, 3)), 'height, width'),
        (dict(size=(64.0, 64)), 'whole numbers'),
        (dict(seed=-1), 'seed=-1'),
        (dict(split='training'), "'training' is none of 'train', 'val', 'test'"),
        (dict(ignore_index=2), "is the class 'road'"),
        (dict(metainfo=dict(classes=('a', 'b'))), '2 classes'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SceneDataset(**arguments)


def test_unknown_arguments_raise():
    with pytest.raises(TypeError, match='data_root'):
        SceneDataset(data_root='data/scenes')


def test_config_builds_and_its_splits_differ():
    cfg = Config.fromfile(CONFIG)
    assert cfg.num_classes == 8 and tuple(cfg.crop_size) == (128, 128)
    assert cfg.train_dataloader.global_batch_size == 8 and cfg.val_dataloader.dataset.num_scenes == 200
    splits = set()
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(loader.dataset)
        item = dataset[0]
        assert item['inputs'].shape == (3, 128, 128) and item['inputs'].dtype == torch.uint8
        assert item['data_samples'].gt_sem_seg.data.shape == (1, 128, 128)
        splits.add(re.match(r'scene_(\w+?)_', item['data_samples'].img_path)[1])
    assert splits == {'train', 'val', 'test'}
