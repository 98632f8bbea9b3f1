import os
import shutil
import stat
from collections import OrderedDict
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from safetensors import safe_open

from mmseg.checkpoints import (
    find_resumable,
    load_checkpoint_file,
    load_message_hub_state,
    message_hub_state,
    save_checkpoint_file,
    to_plain,
)
from mmseg.utils.atomic_file import atomic_write, remove_unfinished


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


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_it_is_over(tmp_path):
    done, sync, replace = [], os.fsync, os.replace

    def fsync(descriptor):
        done.append('folder' if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 'content')
        sync(descriptor)

    def rename(source, target):
        done.append('name')
        assert os.path.getsize(source) == 3
        replace(source, target)

    with patch('os.fsync', fsync), patch('os.replace', rename), atomic_write(tmp_path / 'file') as file:
        file.write(b'new')
    assert done == ['content', 'name', 'folder']


@pytest.mark.parametrize('failing', ['os.fsync', 'os.replace'])
def test_a_disk_that_fails_late_leaves_the_old_file(tmp_path, failing):
    save_checkpoint_file(tmp_path / 'c.pth', dict(state_dict=dict(a=torch.zeros(2))))
    with patch(failing, side_effect=OSError(5, 'disk broken')), pytest.raises(OSError, match='disk broken'):
        save_checkpoint_file(tmp_path / 'c.pth', dict(state_dict=dict(a=torch.ones(2))))
    assert load_checkpoint_file(tmp_path / 'c.pth')['state_dict']['a'].tolist() == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ['c.pth']


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    with patch('os.replace', side_effect=KeyboardInterrupt), patch('os.remove'), pytest.raises(KeyboardInterrupt):
        save_checkpoint_file(tmp_path / 'iter_1.pth', dict(state_dict=dict(a=torch.ones(2))))
    (tmp_path / 'other.tmp').write_bytes(b'x')
    assert len(list(tmp_path.iterdir())) == 2
    assert len(remove_unfinished(str(tmp_path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ['other.tmp']


class TestSafetensors:
    """Weights in the form that other programs like."""

    def test_weights_and_meta_come_back(self, tmp_path):
        shared = torch.randn(3, 4)
        weights = dict(a=shared, b=shared.T, c=torch.tensor(2.5, dtype=torch.bfloat16), d=torch.arange(3))
        meta = dict(iter=3, dataset_meta=dict(classes=['Straße', 'sky'], palette=[[1, 2, 3], [4, 5, 6]]))
        save_checkpoint_file(tmp_path / 'c.safetensors', dict(state_dict=weights, meta=meta))
        loaded = load_checkpoint_file(tmp_path / 'c.safetensors')
        assert loaded['meta'] == meta and loaded['state_dict'].keys() == weights.keys()
        for name, value in weights.items():
            assert torch.equal(loaded['state_dict'][name], value) and loaded['state_dict'][name].dtype == value.dtype

    def test_other_programs_read_it(self, tmp_path):
        save_checkpoint_file(tmp_path / 'c.safetensors', dict(state_dict=dict(a=torch.ones(2))))
        with safe_open(tmp_path / 'c.safetensors', framework='pt') as file:
            assert file.get_tensor('a').tolist() == [1, 1] and file.metadata()['format'] == 'pt'

    def test_training_state_has_no_place_in_it(self, tmp_path):
        with pytest.raises(ValueError, match=r'hold weights and meta only, not optimizer: write a \.pth'):
            save_checkpoint_file(tmp_path / 'c.safetensors', dict(state_dict={}, optimizer={}))
        assert not list(tmp_path.iterdir())


class TestFindResumable:
    """The newest undamaged checkpoint of a work dir."""

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / 'run'
        folder.mkdir()
        for name in ('iter_2', 'iter_4', 'iter_10', 'best_mIoU_iter_4'):
            save_checkpoint_file(folder / f'{name}.pth', dict(state_dict=dict(a=torch.ones(50))))
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_10.pth'))
        return folder

    @pytest.fixture
    def warnings(self):
        with patch('mmseg.checkpoints.finding.print_log') as log:
            yield log

    @staticmethod
    def damage(path):
        path.write_bytes(path.read_bytes()[:-300])

    def found(self, folder):
        path = find_resumable(str(folder))
        return path and os.path.basename(path)

    def test_the_newest(self, folder, warnings):
        assert find_resumable(str(folder)) == str(folder / 'iter_10.pth')
        warnings.assert_not_called()

    def test_nothing_at_all(self, tmp_path):
        assert find_resumable(str(tmp_path)) is None

    def test_a_moved_and_a_copied_folder(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / 'copy')
        assert find_resumable(str(tmp_path / 'copy')) == str(tmp_path / 'copy' / 'iter_10.pth')
        shutil.move(folder, tmp_path / 'new')
        assert find_resumable(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'iter_10.pth')

    def test_checkpoints_in_another_folder_than_the_work_dir(self, folder, tmp_path):
        (tmp_path / 'work').mkdir()
        shutil.move(folder / 'last_checkpoint', tmp_path / 'work')
        assert self.found(tmp_path / 'work') == 'iter_10.pth'
        self.damage(folder / 'iter_10.pth')
        assert self.found(tmp_path / 'work') == 'iter_4.pth'

    def test_the_one_before_a_damaged_one_with_a_warning(self, folder, warnings):
        self.damage(folder / 'iter_10.pth')
        assert self.found(folder) == 'iter_4.pth'
        (folder / 'iter_4.pth').write_bytes(b'')
        assert self.found(folder) == 'iter_2.pth'
        messages = [call.args[0] for call in warnings.call_args_list]
        assert len(messages) == 3 and 'iter_10.pth' in messages[0] and 'damaged' in messages[0]
        assert 'iter_4.pth' in messages[2] and 'it is empty' in messages[2]

    def test_one_that_may_be_of_an_earlier_run_comes_last(self, folder, warnings):
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_4.pth'))
        assert self.found(folder) == 'iter_4.pth'
        self.damage(folder / 'iter_4.pth')
        assert self.found(folder) == 'iter_2.pth'
        self.damage(folder / 'iter_2.pth')
        assert self.found(folder) == 'iter_10.pth'

    @pytest.mark.parametrize('content', [None, b'', b'\xff\x00garbage', b'/elsewhere/iter_99.pth'])
    def test_last_checkpoint_is_missing_or_damaged_or_names_nothing(self, folder, content):
        (folder / 'last_checkpoint').unlink()
        if content is not None:
            (folder / 'last_checkpoint').write_bytes(content)
        assert self.found(folder) == 'iter_10.pth'

    def test_names_of_ones_own(self, folder, warnings):
        for number in (3, 12):
            shutil.copy(folder / 'iter_4.pth', folder / f'v2[a]-{number}.pth')
        (folder / 'last_checkpoint').write_text(str(folder / 'v2[a]-12.pth'))
        assert self.found(folder) == 'v2[a]-12.pth'
        self.damage(folder / 'v2[a]-12.pth')
        (folder / 'iter_10.pth').unlink()
        (folder / 'iter_4.pth').unlink()
        assert self.found(folder) == 'v2[a]-3.pth'

    def test_a_file_that_may_not_be_read_is_passed_over(self, folder, warnings):
        real = open

        def refuse(path, *args, **kwargs):
            if str(path).endswith('iter_10.pth'):
                raise PermissionError(13, 'Permission denied', path)
            return real(path, *args, **kwargs)

        with patch('builtins.open', refuse):
            assert self.found(folder) == 'iter_4.pth'
        assert 'Permission denied' in warnings.call_args.args[0]

    def test_if_all_are_damaged_training_does_not_start_anew(self, folder, warnings):
        for path in folder.glob('iter_*.pth'):
            self.damage(path)
        with pytest.raises(
            ValueError, match='none of the 3 checkpoints of .*run can be read.*choose another --work-dir'
        ):
            find_resumable(str(folder))


def test_plain_data_loads_without_any_class(tmp_path):
    class Odd:
        def __repr__(self):
            return 'odd'

    state = OrderedDict(
        a=np.float64(1.5), b=np.arange(3), c=(1, [torch.ones(2, requires_grad=True), None]), d=Odd(), e={1: 'x'}
    )
    state.update(f=np.array(['x', 'y']), g=np.array([1.5], dtype='>f4'))
    torch.save(to_plain(state), tmp_path / 'f.pth')
    loaded = torch.load(tmp_path / 'f.pth', weights_only=True)
    assert loaded['a'] == 1.5 and loaded['b'].tolist() == [0, 1, 2] and loaded['d'] == 'odd' and loaded['e'] == {1: 'x'}
    assert loaded['f'] == ['x', 'y'] and loaded['g'].tolist() == [1.5]
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
