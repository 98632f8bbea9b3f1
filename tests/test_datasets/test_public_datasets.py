"""ADE20K, Cityscapes, COCO-Stuff and CamVid: their tables, their folder trees, their recipes."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmseg.datasets import ADE20KDataset, CamVidDataset, CityscapesDataset, COCOStuffDataset
from mmseg.registry import DATASETS
from tests.camvid import CAMVID_ROOT, needs_camvid

RECIPES = Path(__file__).parents[2] / 'configs_local' / '_base_' / 'datasets'

# class, class count, reduce_zero_label, known entries (index, name, colour)
DATASETS_AND_FACTS = [
    (
        ADE20KDataset, 150, True,
        [(0, 'wall', (120, 120, 120)), (2, 'sky', (6, 230, 230)), (12, 'person', (150, 5, 61)),
         (20, 'car', (0, 102, 200)), (78, 'arcade machine', (255, 92, 0)), (149, 'flag', (92, 0, 255))],
    ),
    (
        CityscapesDataset, 19, False,
        [(0, 'road', (128, 64, 128)), (10, 'sky', (70, 130, 180)), (13, 'car', (0, 0, 142)),
         (18, 'bicycle', (119, 11, 32))],
    ),
    (
        COCOStuffDataset, 171, False,
        [(0, 'person', (0, 192, 64)), (79, 'toothbrush', (192, 160, 0)), (80, 'banner', (0, 192, 0)),
         (117, 'leaves', (128, 64, 32)), (170, 'wood', (64, 64, 0))],
    ),
    (
        CamVidDataset, 11, False,
        [(0, 'sky', (128, 128, 128)), (4, 'pavement', (60, 40, 222)), (10, 'bicyclist', (0, 128, 192))],
    ),
]  # fmt: skip


@pytest.mark.parametrize(('cls', 'count', 'reduce_zero_label', 'entries'), DATASETS_AND_FACTS)
def test_tables(cls, count, reduce_zero_label, entries):
    dataset = cls(lazy_init=True, test_mode=True)
    classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    assert isinstance(classes, tuple)
    assert len(classes) == len(set(classes)) == len(palette) == count
    assert all(name == name.strip() and name for name in classes)
    assert np.shape(palette) == (count, 3)
    assert np.min(palette) >= 0 and np.max(palette) <= 255
    assert [(i, classes[i], tuple(palette[i])) for i, _, _ in entries] == entries
    assert dataset.reduce_zero_label is dataset.metainfo['reduce_zero_label'] is reduce_zero_label
    assert DATASETS.get(cls.__name__) is cls


def test_stuff_follows_things():
    classes = COCOStuffDataset.METAINFO['classes']
    assert list(classes[80:]) == sorted(classes[80:])


@pytest.mark.parametrize('recipe', ['ade20k', 'ade20k_640x640', 'cocostuff164k', 'cityscapes_1024x1024'])
def test_recipe_fits_the_official_tree(recipe, tmp_path):
    """Empty files in the official places are found, in every split, under a root given from outside."""
    cfg = Config.fromfile(RECIPES / f'{recipe}.py')
    official = {
        'ADE20KDataset': [
            ('images/training/ADE_train_00000001.jpg', 'annotations/training/ADE_train_00000001.png'),
            ('images/validation/ADE_val_00000001.jpg', 'annotations/validation/ADE_val_00000001.png'),
        ],
        'COCOStuffDataset': [
            ('images/train2017/000000000009.jpg', 'annotations/train2017/000000000009_labelTrainIds.png'),
            ('images/val2017/000000000139.jpg', 'annotations/val2017/000000000139_labelTrainIds.png'),
        ],
        'CityscapesDataset': [
            (f'leftImg8bit/{split}/{name}_leftImg8bit.png', f'gtFine/{split}/{name}_gtFine_labelTrainIds.png')
            for split, name in (('train', 'aachen/aachen_000000_000019'), ('val', 'ulm/ulm_000000_000019'))
        ],
    }
    type_ = cfg.train_dataloader.dataset.type
    for file in sum(official[type_], ()):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for loader, pair in zip(('train_dataloader', 'val_dataloader'), official[type_], strict=True):
        dataset = DATASETS.build({**cfg[loader].dataset, 'data_root': str(tmp_path)})
        info = dataset.get_data_info(0)
        assert [info['img_path'], info['seg_map_path']] == [f'{tmp_path}/{file}' for file in pair]
        assert len(dataset.metainfo['classes']) == cfg.num_classes
        assert dataset.test_mode is (loader == 'val_dataloader')
    assert cfg.test_dataloader == cfg.val_dataloader


@pytest.mark.parametrize(
    ('recipe', 'batch', 'crop', 'scale'),
    [
        ('ade20k', 16, (512, 512), (2048, 512)),
        ('ade20k_640x640', 16, (640, 640), (2560, 640)),
        ('cocostuff164k', 16, (512, 512), (2048, 512)),
        ('cityscapes_1024x1024', 8, (1024, 1024), (2048, 1024)),
        ('camvid_360x480', 8, (360, 480), (480, 360)),
    ],
)
def test_recipe_numbers(recipe, batch, crop, scale):
    cfg = Config.fromfile(RECIPES / f'{recipe}.py')
    train = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert list(train) == [
        'LoadImageFromFile', 'LoadAnnotations', 'RandomResize', 'RandomCrop', 'RandomFlip',
        'PhotoMetricDistortion', 'PackSegInputs',
    ]  # fmt: skip
    assert cfg.train_dataloader.global_batch_size == batch
    assert cfg.crop_size == train['RandomCrop'].crop_size == crop
    assert train['RandomCrop'].cat_max_ratio == 0.75
    assert train['RandomResize'].scale == scale
    assert train['RandomResize'].ratio_range == (0.5, 2.0)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        test = {step.type: step for step in loader.dataset.pipeline}
        assert list(test) == ['LoadImageFromFile', 'AlignResize', 'LoadAnnotations', 'PackSegInputs']
        assert test['AlignResize'].scale == scale
        assert 'data_root' not in loader.dataset


def test_missing_label_maps_name_the_converter(tmp_path):
    (tmp_path / 'img').mkdir()
    (tmp_path / 'ann').mkdir()
    (tmp_path / 'img' / 'a_leftImg8bit.png').touch()
    (tmp_path / 'ann' / 'a_gtFine_labelIds.png').touch()
    prefix = {'img_path': 'img', 'seg_map_path': 'ann'}
    with pytest.raises(FileNotFoundError, match=r'dataset_converters/cityscapes\.py'):
        CityscapesDataset(data_root=str(tmp_path), data_prefix=prefix)


@needs_camvid
@pytest.mark.parametrize(('split', 'count'), [('train', 367), ('val', 101), ('test', 233)])
def test_camvid(split, count):
    cfg = Config.fromfile(RECIPES / 'camvid_360x480.py')
    dataset = DATASETS.build({**cfg[f'{split}_dataloader'].dataset, 'data_root': str(CAMVID_ROOT)})
    assert len(dataset) == count
    sample = dataset[0]
    labels = sample['data_samples'].gt_sem_seg.data
    if split == 'train':  # at most the crop: an image that was made smaller is padded in the batch
        assert labels.shape[1:] == sample['inputs'].shape[1:] <= (360, 480)
    else:
        assert labels.shape == (1, 360, 480)
        assert sample['inputs'].shape == (3, 384, 480)
    assert set(labels.unique().tolist()) <= {*range(11), 255}


@needs_camvid
def test_camvid_void_is_ignored_also_in_a_subset_of_classes():
    dataset = CamVidDataset(
        data_root=str(CAMVID_ROOT),
        data_prefix={'img_path': 'images/val', 'seg_map_path': 'annotations/val'},
        metainfo={'classes': ('car', 'sky')},
        pipeline=[{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}],
    )
    plain = CamVidDataset(
        data_root=str(CAMVID_ROOT),
        data_prefix={'img_path': 'images/val', 'seg_map_path': 'annotations/val'},
        pipeline=[{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}],
    )
    chosen, full = dataset[0]['gt_seg_map'], plain[0]['gt_seg_map']
    assert (full == 255).any()
    expected = np.full_like(full, 255)
    expected[full == 8], expected[full == 0] = 0, 1
    assert np.array_equal(chosen, expected)
