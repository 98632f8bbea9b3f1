"""The public data sets of one table: each builds on a sample folder, with its classes, colours and endings."""

import importlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmseg.datasets
from mmseg.datasets.public import PUBLIC
from mmseg.datasets.public_table import TABLE
from mmseg.registry import DATASETS
from mmseg.utils import get_classes, get_palette

FACTS = Path(__file__).parents[3] / 'shared' / 'spec' / 'dataset_facts.json'
OWN_MODULES = {'ADE20KDataset': 'ade', 'CityscapesDataset': 'cityscapes', 'COCOStuffDataset': 'coco_stuff'}
OF_A_FILE = 'DecathlonDataset'  # its classes are its dataset.json's

# type, classes, an index with its name and colour, endings, whether label 0 is ignored
KNOWN = [
    ('ChaseDB1Dataset', 2, 1, 'vessel', [6, 230, 230], '.png', '_1stHO.png', False),
    ('DarkZurichDataset', 19, 13, 'car', [0, 0, 142], '_rgb_anon.png', '_gt_labelTrainIds.png', False),
    ('ISPRSDataset', 6, 4, 'car', [255, 255, 0], '.png', '.png', True),
    ('LoveDADataset', 7, 3, 'water', [0, 0, 255], '.png', '.png', True),
    ('MapillaryDataset_v2', 124, 0, 'Bird', [165, 42, 42], '.jpg', '.png', False),
    ('PascalContextDataset', 60, 0, 'background', [120, 120, 120], '.jpg', '.png', False),
    ('PascalContextDataset59', 59, 0, 'aeroplane', [180, 120, 120], '.jpg', '.png', True),
    ('PascalVOCDataset', 21, 15, 'person', [192, 128, 128], '.jpg', '.png', False),
    ('iSAIDDataset', 16, 14, 'plane', [0, 127, 255], '.png', '_instance_color_RGB.png', False),
]


def sample_folder(root: Path, img_suffix: str, seg_map_suffix: str, values: np.ndarray) -> dict:
    for folder, suffix in (('img', img_suffix), ('ann', seg_map_suffix)):
        (root / folder).mkdir()
        Image.fromarray(values if folder == 'ann' else np.zeros((*values.shape, 3), np.uint8)).save(
            root / folder / f'a{suffix}'
        )
    return {'data_root': str(root), 'data_prefix': {'img_path': 'img', 'seg_map_path': 'ann'}}


@pytest.mark.parametrize('name', sorted(set(TABLE) - {OF_A_FILE}))
def test_builds_on_a_sample_folder(name, tmp_path):
    facts = TABLE[name]
    endings = facts.get('img_suffix', '.jpg'), facts.get('seg_map_suffix', '.png')
    count = len(PUBLIC[name].METAINFO['classes'])
    values = np.arange(count + 1, dtype=np.uint8)[None].repeat(3, axis=0)  # one label more than classes, if 0 is none
    values = values if facts.get('reduce_zero_label') else values[:, :count]
    folder = sample_folder(tmp_path, *endings, values)
    steps = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
    sample = DATASETS.build({'type': name, 'pipeline': steps, **folder})[0]
    expected = [255, *range(count)] if facts.get('reduce_zero_label') else list(range(count))
    assert sample['gt_seg_map'][0].tolist() == expected


@pytest.mark.parametrize(('name', 'count', 'index', 'label', 'colour', 'image', 'annotation', 'reduce'), KNOWN)
def test_known_facts(name, count, index, label, colour, image, annotation, reduce):
    dataset = getattr(mmseg.datasets, name)(lazy_init=True, test_mode=True)
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == count
    assert dataset.metainfo['classes'][index] == label
    assert dataset.metainfo['palette'][index] == colour
    assert (dataset.img_suffix, dataset.seg_map_suffix, dataset.reduce_zero_label) == (image, annotation, reduce)
    assert pickle.loads(pickle.dumps(type(dataset))) is type(dataset)


@pytest.mark.skipif(not FACTS.is_file(), reason='the reference table dataset_facts.json is not beside this clone')
def test_table_equals_the_reference():
    reference = json.loads(FACTS.read_text())
    assert set(reference) - set(TABLE) - set(OWN_MODULES) == {'DSDLSegDataset'}  # left out: it has no facts
    for name, facts in reference.items():
        if name in OWN_MODULES:
            meta = getattr(importlib.import_module(f'mmseg.datasets.{OWN_MODULES[name]}'), name).METAINFO
        elif name in TABLE and name != OF_A_FILE:
            meta, row = PUBLIC[name].METAINFO, TABLE[name]
            if 'img_suffix' in facts:
                assert row.get('img_suffix', '.jpg') == facts['img_suffix'], name
                assert row.get('seg_map_suffix', '.png') == facts['seg_map_suffix'], name
            assert row.get('reduce_zero_label', False) == facts.get('reduce_zero_label', False), name
        else:
            continue
        assert list(meta['classes']) == [text.strip() for text in facts['classes']], name
        assert [list(colour) for colour in meta['palette']] == facts['palette'], name


def test_decathlon_takes_its_classes_from_its_file(tmp_path):
    folder = sample_folder(tmp_path, '.png', '.png', np.array([[0, 1, 2]], dtype=np.uint8))
    names = {'0': 'background', '2': 'tumour', '1': 'liver'}
    listed = {'labels': names, 'training': [{'image': './img/a.png', 'label': './ann/a.png'}]}
    (tmp_path / 'dataset.json').write_text(json.dumps(listed))
    config = {'type': OF_A_FILE, 'ann_file': 'dataset.json', 'data_root': folder['data_root']}
    dataset = DATASETS.build({**config, 'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]})
    assert dataset.metainfo['classes'] == ('background', 'liver', 'tumour')
    assert dataset[0]['gt_seg_map'].tolist() == [[0, 1, 2]]
    (tmp_path / 'dataset.json').write_text('{"labels": {"0": "a", "3": "b"}, "training": []}')
    with pytest.raises(ValueError, match='without gaps'):
        DATASETS.build(config)


@pytest.mark.parametrize(
    ('name', 'count', 'first'),
    [('ade', 150, 'wall'), ('voc', 21, 'background'), ('pcontext', 60, 'background'), ('cocostuff', 171, 'person'),
     ('Cityscapes', 19, 'road'), ('loveda', 7, 'background'), ('potsdam', 6, 'impervious_surface'),
     ('vaihingen', 6, 'impervious_surface'), ('mapillary_v1', 66, 'Bird'), ('PascalVOCDataset', 21, 'background')],
)  # fmt: skip
def test_short_names(name, count, first):
    assert len(get_classes(name)) == len(get_palette(name)) == count
    assert get_classes(name)[0] == first


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match='did you mean cityscapes'):
        get_classes('cityscape')


def test_registers_by_its_own_module():
    program = (
        'import mmseg.datasets.public as p; from mmseg.registry import DATASETS as d; print(set(p.PUBLIC) <= set(d))'
    )
    program = program.replace('set(d)', 'set(d.module_dict)')
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    assert result.stdout == 'True\n'
