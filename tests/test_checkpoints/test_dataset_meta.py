from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.apis import init_model
from mmseg.checkpoints import complete_dataset_meta, dataset_meta_of

COLOURS = [[1, 2, 3], [4, 5, 6]]
BOTH = {'classes': ['a', 'b'], 'palette': COLOURS}


@pytest.mark.parametrize(
    ('meta', 'stated'),
    [
        ({'dataset_meta': {'classes': ('a',), 'palette': [[1, 2, 3]]}}, {'classes': ('a',), 'palette': [[1, 2, 3]]}),
        ({'CLASSES': ('b',), 'PALETTE': [[1, 2, 3]]}, {'classes': ('b',), 'palette': [[1, 2, 3]]}),
        ({'CLASSES': ('b',), 'PALETTE': None}, {'classes': ('b',)}),  # mmsegmentation 0.x
        ({'dataset_meta': {'CLASSES': ['a', 'b'], 'PALETTE': COLOURS}}, BOTH),  # mmsegmentation 1.0.0rc
        ({'dataset_meta': {'classes': ['a', 'b']}}, {'classes': ['a', 'b']}),
        ({'dataset_meta': {'palette': COLOURS}}, {'palette': COLOURS}),
        ({'dataset_meta': {'classes': None, 'palette': COLOURS}, 'CLASSES': ['a', 'b']}, BOTH),
        *(
            ({'dataset_meta': {'classes': np.array(['a', 'b']), 'palette': palette}}, BOTH)
            for palette in (
                *(np.array(COLOURS), np.array(COLOURS, np.uint8), [np.array(row) for row in COLOURS]),
                *(torch.tensor(COLOURS), torch.tensor(COLOURS, dtype=torch.float32), tuple(map(tuple, COLOURS))),
            )
        ),
        ({'dataset_meta': {'palette': np.array([[0.0, 0.2, 1.0]])}}, {'palette': [[0, 51, 255]]}),
        ({'dataset_meta': {'classes': 'road', 'palette': 'blue'}}, None),
        ({'dataset_meta': {'classes': [1, 2], 'palette': [[1, 2], [3, 4]]}}, None),
        ({'dataset_meta': {'palette': [[1, 2, 300]]}}, None),
        ({'dataset_meta': None}, None),
        ({'dataset_meta': 'road'}, None),
        ({}, None),
        ('text', None),
        (None, None),
    ],
)
def test_names_and_colours_are_taken_each_for_itself(meta, stated):
    assert dataset_meta_of({'meta': meta}) == stated


def complete(stated, classes=('x', 'y'), palette=((7, 7, 7), (8, 8, 8))):
    meta = complete_dataset_meta(stated, lambda: {'classes': classes, 'palette': palette})
    return list(meta['classes']), meta['palette']


def test_what_is_missing_is_made():
    names, colours = complete({'classes': ['a', 'b']})
    assert names == ['a', 'b'] and len(colours) == 2 and colours[0] != colours[1]
    assert complete({'classes': ['a', 'b']})[1] == colours  # the same each time
    assert complete({'classes': ['x', 'y']})[1] == [[7, 7, 7], [8, 8, 8]]  # the config's, for the same classes
    assert complete({'palette': COLOURS}) == (['x', 'y'], COLOURS)
    assert complete({'palette': COLOURS}, classes=('x', 'y', 'z')) == (['class 0', 'class 1'], COLOURS)
    assert complete(None) == (['x', 'y'], [[7, 7, 7], [8, 8, 8]])
    assert len(complete(None, palette=None)[1]) == 2


def test_a_palette_of_another_length_gives_way():
    assert complete({'classes': ['a'], 'palette': COLOURS}) == (['a'], COLOURS[:1])
    names, colours = complete({'classes': ['a', 'b', 'c'], 'palette': COLOURS})
    assert names == ['a', 'b', 'c'] and len(colours) == 3


def test_the_config_is_not_asked_without_need():
    meta = {'classes': ['a', 'b'], 'palette': COLOURS}
    assert complete_dataset_meta(meta, lambda: 1 / 0) == meta


@pytest.mark.parametrize('stated', [{'classes': tuple('abcdefgh')}, {'palette': np.arange(24).reshape(8, 3)}])
def test_a_model_has_both(tmp_path, stated):
    config = Path(__file__).parents[2] / 'configs_local/lrformer/lrformer-n_scenes-128x128.py'
    model = init_model(config, device='cpu')
    torch.save({'state_dict': model.state_dict(), 'meta': {'dataset_meta': stated}}, tmp_path / 'c.pth')
    meta = init_model(config, tmp_path / 'c.pth', device='cpu').dataset_meta
    assert list(meta['classes']) == list(stated.get('classes', model.dataset_meta['classes']))
    assert len(meta['palette']) == 8 and ('palette' not in stated or meta['palette'][7] == [21, 22, 23])
