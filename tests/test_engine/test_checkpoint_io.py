from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from mmseg.engine.runner.checkpoint_io import atomic_write, load_message_hub_state, message_hub_state, to_plain


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with pytest.raises(OSError, match='disk full'), atomic_write(path) as file:
        file.write(b'half of the ne')
        raise OSError('disk full')
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_the_name_appears_only_when_the_file_is_complete(tmp_path):
    path = tmp_path / 'file'
    with atomic_write(path) as file:
        file.write(b'new')
        assert not path.exists()
    assert path.read_bytes() == b'new'


def test_plain_data_loads_without_any_class(tmp_path):
    class Odd:
        def __repr__(self):
            return 'odd'

    state = OrderedDict(
        a=np.float64(1.5), b=np.arange(3), c=(1, [torch.ones(2, requires_grad=True), None]), d=Odd(), e={1: 'x'}
    )
    torch.save(to_plain(state), tmp_path / 'f.pth')
    loaded = torch.load(tmp_path / 'f.pth', weights_only=True)
    assert loaded['a'] == 1.5 and loaded['b'].tolist() == [0, 1, 2] and loaded['d'] == 'odd' and loaded['e'] == {1: 'x'}
    assert loaded['c'][1][0].tolist() == [1, 1] and isinstance(loaded['c'], tuple)


def test_the_message_hub_comes_back_whole(tmp_path):
    hub = MessageHub.get_instance('before')
    for value in (1.0, 2.0, 4.0):
        hub.update_scalar('train/loss', value)
    hub.update_info('best_score', np.float32(0.5))
    torch.save(message_hub_state(hub), tmp_path / 'hub.pth')
    other = MessageHub.get_instance('after')
    load_message_hub_state(other, torch.load(tmp_path / 'hub.pth', weights_only=True))
    assert other.get_scalar('train/loss').mean(2) == 3.0
    other.update_scalar('train/loss', 6.0)  # it can go on
    assert other.get_scalar('train/loss').current() == 6.0
    assert other.get_info('best_score') == 0.5
