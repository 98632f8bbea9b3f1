"""Label maps in colours, by ``metainfo.label_palette``."""

import numpy as np
import pytest
from PIL import Image

from mmseg.datasets import BaseSegDataset
from mmseg.datasets.checks import check_datasets

PALETTE = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 9]]
STEPS = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]


def config(root, labels, palette=PALETTE, mode='RGB', **meta):
    for folder, array in (
        ('img', np.random.default_rng(0).integers(0, 256, (*labels.shape, 3), np.uint8)),
        ('ann', None),
    ):
        (root / folder).mkdir()
        image = Image.fromarray(np.array(palette, np.uint8)[labels] if array is None else array)
        adaptive = {'palette': Image.Palette.ADAPTIVE} if mode == 'P' else {}
        image = image.convert(mode, **adaptive) if array is None else image
        image.save(root / folder / 'a.png')
    meta = {'classes': ('ground', 'car', 'tree'), 'label_palette': PALETTE, 'label_map': {3: -1}, **meta}
    prefix = {'img_path': 'img', 'seg_map_path': 'ann'}
    return {'data_root': str(root), 'data_prefix': prefix, 'img_suffix': '.png', 'metainfo': meta, 'pipeline': STEPS}


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colours_become_labels_and_then_classes(tmp_path, mode):
    labels = np.random.default_rng(1).integers(0, 4, (6, 7))
    dataset = BaseSegDataset(**config(tmp_path, labels, mode=mode))
    found = dataset[0]['gt_seg_map']
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.where(labels == 3, 255, labels))
    assert dataset.get_cat_ids(0) == [0, 1, 2]


def test_a_strange_colour_is_named_with_its_pixels(tmp_path):
    labels = np.array([[0, 1, 2, 3, 3]])
    dataset = BaseSegDataset(**config(tmp_path, labels, palette=[*PALETTE[:3], [7, 8, 250]]))
    with pytest.raises(ValueError, match=r'a\.png.*does not name: \[7, 8, 250\] \(2 pixels\)'):
        dataset[0]


def test_the_check_reads_them_as_well(tmp_path):
    settings = config(tmp_path, np.random.default_rng(1).integers(0, 3, (6, 7)))
    report = check_datasets({'train': {'type': 'BaseSegDataset', **settings}})
    assert report.ok, report.to_dict()
    assert sum(report.summaries[0].class_pixels) == 42


def test_two_labels_of_one_colour_are_refused(tmp_path):
    settings = config(tmp_path, np.zeros((2, 2), int), label_palette=[[1, 1, 1], [1, 1, 1]])
    with pytest.raises(ValueError, match=r'label_palette has \[1, 1, 1\] more than once'):
        BaseSegDataset(**settings)
