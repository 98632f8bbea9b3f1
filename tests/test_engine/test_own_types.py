"""What a config names by mmengine's own classes becomes what is here under the same name."""

import mmengine.dataset
import pytest
from mmengine.config import Config

from mmseg.datasets import ConcatDataset, RepeatDataset
from mmseg.engine import SegRunner
from mmseg.engine.config.own_types import own_dataset

from .toy import ToyDataset, toy_config

PART = dict(type='ToyDataset', length=4)


@pytest.mark.parametrize('join', ['mmengine.ConcatDataset', mmengine.dataset.ConcatDataset, 'ConcatDataset'])
@pytest.mark.parametrize('repeat', ['mmengine.RepeatDataset', mmengine.dataset.RepeatDataset])
def test_wrappers_of_datasets_are_those_here(join, repeat):
    cfg = dict(type=repeat, times=2, dataset=dict(type=join, datasets=[PART, dict(type=ToyDataset, length=3)]))
    ours = own_dataset(cfg, 'dataset')
    assert ours['type'] is RepeatDataset and ours['dataset']['type'] in (ConcatDataset, 'ConcatDataset')
    assert ours['dataset']['datasets'] == cfg['dataset']['datasets']


class Joined(mmengine.dataset.ConcatDataset):
    """A user's own."""


def test_a_user_s_own_wrapper_stays():
    cfg = dict(type=Joined, datasets=[PART])
    assert own_dataset(cfg, 'dataset') == cfg


def test_a_list_of_datasets_is_refused_with_the_way_to_join_them(tmp_path):
    cfg = toy_config(tmp_path)
    cfg['train_dataloader']['dataset'] = [PART, PART]
    with pytest.raises(TypeError, match=r"is a list; to join datasets, write dataset=dict\(type='ConcatDataset'"):
        SegRunner.from_cfg(Config(cfg)).train()
