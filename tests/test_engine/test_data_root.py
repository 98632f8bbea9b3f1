from torch.utils.data import Dataset

from mmseg.engine.runner import hand_down_data_root
from mmseg.registry import DATASETS

from .toy import ToyDataset


@DATASETS.register_module()
class RootlessDataset(Dataset):
    def __init__(self, size: int = 1) -> None:
        self.size = size


@DATASETS.register_module()
class ToyChildDataset(ToyDataset):
    """Hands its arguments on to its parent."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)


def test_a_dataset_gets_the_root_unless_it_states_its_own():
    assert hand_down_data_root(dict(type='ToyDataset'), '/d')['data_root'] == '/d'
    assert hand_down_data_root(dict(type='ToyChildDataset'), '/d')['data_root'] == '/d'
    assert hand_down_data_root(dict(type=ToyDataset), '/d')['data_root'] == '/d'
    assert hand_down_data_root(dict(type='ToyDataset', data_root='/own'), '/d')['data_root'] == '/own'


def test_a_dataset_that_takes_no_root_gets_none():
    assert 'data_root' not in hand_down_data_root(dict(type='RootlessDataset'), '/d')


def test_wrapped_datasets_get_it_and_wrappers_do_not():
    cfg = dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[dict(type='ToyDataset')]))
    result = hand_down_data_root(cfg, '/d')
    assert result['dataset']['datasets'][0]['data_root'] == '/d'
    assert 'data_root' not in result and 'data_root' not in result['dataset']
    assert 'data_root' not in cfg['dataset']['datasets'][0]  # the argument is left alone
