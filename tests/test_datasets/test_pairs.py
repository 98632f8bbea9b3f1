"""Lists of pairs: however they are written, and what is refused."""

import os

import numpy as np
import pytest
from PIL import Image

from mmseg.datasets import PairsDataset
from mmseg.datasets.pairs import Pair, parse_pairs


@pytest.mark.parametrize(
    ('text', 'pairs'),
    [
        ('a.jpg,a.png\nb.jpg,b.png', [Pair('a.jpg', 'a.png'), Pair('b.jpg', 'b.png')]),
        ('a.jpg;a.png;val', [Pair('a.jpg', 'a.png', 'val')]),
        ('split\tMask\tImage Path\n\nval\ta.png\ta.jpg\n', [Pair('a.jpg', 'a.png', 'val')]),
        ('\ufeffimage,label,weather\r\n"a, b.jpg",c.png,rain\r\n', [Pair('a, b.jpg', 'c.png')]),
        ('image,label\na.jpg,', [Pair('a.jpg', '')]),
    ],
)
def test_ways_of_writing(text, pairs):
    assert parse_pairs(text, 'list.csv') == pairs


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'no lines'),
        ('image,label', 'no pairs below'),
        ('a.jpg\nb.jpg', "pair 1 is \\['a.jpg'\\]"),
        ('a.jpg,a.png\n,b.png', 'pair 2'),
    ],
)
def test_what_is_no_list(text, message):
    with pytest.raises(ValueError, match=message):
        parse_pairs(text, 'list.csv')


@pytest.fixture
def folder(tmp_path):
    for name, value in (('a', 0), ('b', 1)):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / f'{name}.jpg')
        Image.fromarray(np.full((4, 5), value, np.uint8)).save(tmp_path / f'{name}.png')
    return tmp_path


def build(folder, text, **kwargs):
    (folder / 'list.csv').write_text(text)
    kwargs = {'metainfo': {'classes': ('x', 'y')}, **kwargs}
    return PairsDataset('list.csv', data_root=str(folder), **kwargs)


def test_order_split_and_absolute_paths(folder):
    text = f'image,label,split\nb.jpg,{folder / "b.png"},train\na.jpg,a.png,val\n'
    steps = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
    dataset = build(folder, text, pipeline=steps)
    assert [int(sample['gt_seg_map'].max()) for sample in dataset] == [1, 0]
    assert dataset.get_cat_ids(0) == [1]
    assert len(build(folder, text, split='val')) == 1
    with pytest.raises(ValueError, match=r"no line of split='test', but \['train', 'val'\]"):
        build(folder, text, split='test')


def test_without_labels_to_predict(folder):
    dataset = build(folder, 'a.jpg,\nb.jpg,', test_mode=True, data_prefix={'img_path': ''})
    assert 'seg_map_path' not in dataset.get_data_info(0)


def test_what_is_not_there_or_twice(folder):
    with pytest.raises(FileNotFoundError, match='1 files that .*list.csv.* do not exist: .*c.png'):
        build(folder, 'a.jpg,c.png')
    with pytest.raises(ValueError, match='a.jpg more than once'):
        build(folder, 'a.jpg,a.png\na.jpg,b.png')
    with pytest.raises(TypeError):
        PairsDataset('list.csv', data_rot=os.fspath(folder))
