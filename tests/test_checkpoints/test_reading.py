import codecs
import functools
import os
import pickle
import random
import subprocess
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file
from torch import nn

from mmseg.checkpoints import load_checkpoint_file

FROM_BUFFER = np.empty(1).__reduce_ex__(5)[0]  # by which numpy rebuilds arrays
WEIGHTS = {'a.weight': torch.arange(6.0).view(2, 3), 'a.bias': torch.zeros(2)}


@pytest.mark.parametrize(
    'content', [WEIGHTS, {'model': WEIGHTS}, {'state_dict': OrderedDict(WEIGHTS), 'meta': dict(iter=3)}]
)
def test_nestings(tmp_path, content):
    torch.save(content, tmp_path / 'c.pth')
    assert load_checkpoint_file(tmp_path / 'c.pth')['state_dict'].keys() == WEIGHTS.keys()


def test_other_content_is_kept(tmp_path):
    torch.save({'state_dict': WEIGHTS, 'meta': dict(iter=3)}, tmp_path / 'c.pth')
    assert load_checkpoint_file(str(tmp_path / 'c.pth'))['meta'] == dict(iter=3)


def test_safetensors(tmp_path):
    save_file(WEIGHTS, tmp_path / 'c.safetensors')
    assert torch.equal(load_checkpoint_file(tmp_path / 'c.safetensors')['state_dict']['a.weight'], WEIGHTS['a.weight'])


def test_mmengines_training_state_is_read(tmp_path):
    """Published files carry history buffers, which hold NumPy arrays and name four functions."""
    hub = MessageHub('test_mmengines_training_state')
    for value in (0.5, 0.25):
        hub.update_scalar('train/loss', value)
    torch.save({'state_dict': WEIGHTS, 'message_hub': hub.state_dict()}, tmp_path / 'c.pth')
    earlier = torch.serialization.get_safe_globals()
    history = load_checkpoint_file(tmp_path / 'c.pth')['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.mean() == 0.375
    assert set(torch.serialization.get_safe_globals()) == set(earlier)


class Call:
    """Pickled, it asks the reader to call a function."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


class Anything:
    """What a pickle may contain that no program would write."""


def in_history(payload):
    buffer = HistoryBuffer()
    buffer._log_history = [payload]
    return buffer


def in_statistics(payload):
    buffer = HistoryBuffer()
    buffer._statistics_methods = {'mean': payload}
    return buffer


PLACES = {
    'bare': lambda payload: payload,
    'key': lambda payload: {(payload,): 1},
    'history': in_history,
    'statistics': in_statistics,
    'deep': lambda payload: {'message_hub': {'log_scalars': {'loss': [in_history({'a': (payload,)})]}}},
}
COMMANDS = {
    'system': lambda path: Call(os.system, f'touch {path}'),
    'popen': lambda path: Call(subprocess.Popen, ['touch', str(path)]),
    'eval': lambda path: Call(eval, f'open({str(path)!r}, "w")'),
    'open': lambda path: Call(open, str(path), 'w'),
    'import': lambda path: Call(__import__, 'antigravity'),
    'partial': lambda path: Call(functools.partial, os.system, f'touch {path}'),
    'getattr': lambda path: Call(getattr, Call(__import__, 'os'), 'system'),
    'torch': lambda path: Call(torch.load, str(path)),
    'numpy': lambda path: Call(np.save, str(path), 1),
}


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('command', COMMANDS)
def test_a_pickle_that_runs_a_command_is_refused_by_name(tmp_path, place, command):
    target = tmp_path / 'executed'
    payload = PLACES[place](COMMANDS[command](target))
    torch.save({'state_dict': WEIGHTS, 'meta': payload}, tmp_path / 'evil.pth')
    name = dict(popen='Popen', numpy='save', torch='load', getattr='import').get(command, command)
    with pytest.raises(
        ValueError, match=rf'evil\.pth: refused: its pickle asks for \S*{name}\S* .*Nothing was executed'
    ):
        load_checkpoint_file(tmp_path / 'evil.pth')
    assert not target.exists()


def test_tensors_with_attributes_are_read_without_them(tmp_path):
    tensor, parameter = torch.arange(3.0), nn.Parameter(torch.ones(2))
    tensor.note = parameter.note = 'no weight'
    torch.save({'a': tensor, 'b': parameter}, tmp_path / 'c.pth')
    read = load_checkpoint_file(tmp_path / 'c.pth')['state_dict']
    assert read['a'].tolist() == [0, 1, 2] and read['b'].tolist() == [1, 1]
    assert not hasattr(read['a'], 'note') and not hasattr(read['b'], 'note')


def test_an_archive_that_was_packed_again_is_read(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'saved.pth')
    with (
        zipfile.ZipFile(tmp_path / 'saved.pth') as saved,
        zipfile.ZipFile(tmp_path / 'packed.pth', 'w', zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in saved.namelist():
            packed.writestr(name, saved.read(name))
    read = load_checkpoint_file(tmp_path / 'packed.pth')['state_dict']
    assert all(torch.equal(read[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize(
    'payload',
    [
        Call(getattr, HistoryBuffer, '__init__'),
        Call(getattr, HistoryBuffer, '_set_default_statistics'),
        np.array(['x', None], dtype=object),
        Call(np.dtype, 'f8', False, True, state=(3, '<', None, None, None, -1, -1, 63)),  # "holds addresses"
        Call(np.dtype, 'f8', False, True, state=(3, '<', None, ('a',), {'a': 1}, -1, -1, 0)),
        Call(np.empty(0).__reduce__()[0], np.ndarray, (1 << 40,), b'b'),
        Call(np.empty(0).__reduce__()[0], HistoryBuffer, (0,), b'b'),
        Call(np.empty(0).__reduce__()[0], np.ndarray, (0,), b'b', state=(1, (1,), np.dtype('f8'), False, ['x'])),
        Call(np.float64(0).__reduce__()[0], np.dtype('f8'), b'short'),
        Call(FROM_BUFFER, 'text', np.dtype('f8'), (1,), 'C'),
        Call(torch._utils._rebuild_tensor_v2, 5, 0, (1,), (1,), False, OrderedDict()),
        Call(torch._tensor._rebuild_from_type_v2, torch.device, torch.Tensor, ('cpu',), {}),
        Call(codecs.encode, 'text', 'rot13'),
    ],
)
def test_harmless_classes_are_refused_what_would_not_be_harmless(tmp_path, payload):
    torch.save({'state_dict': WEIGHTS, 'meta': {'a': [payload]}}, tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused: its pickle asks for .*(getattr|numpy|torch|codecs)'):
        load_checkpoint_file(tmp_path / 'evil.pth')


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize(
    ('protocol', 'zipped'),
    [*((protocol, True) for protocol in range(6)), *((protocol, False) for protocol in (2, 3, 4, 5))],
)
def test_no_protocol_and_no_old_format_lets_a_command_through(tmp_path, protocol, zipped):
    target = tmp_path / 'executed'
    torch.save(
        {'state_dict': WEIGHTS, 'meta': Call(os.system, f'touch {target}')},
        tmp_path / 'evil.pth',
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(ValueError, match=r'refused: its pickle asks for (posix|nt)\.system'):
        load_checkpoint_file(tmp_path / 'evil.pth')
    assert not target.exists()


@pytest.mark.parametrize(
    'instructions', [b"\x80\x02(S'touch %s'\nios\nsystem\n.", b"\x80\x02cos\nsystem\n(S'touch %s'\ntR."]
)
def test_pickles_by_hand_and_with_a_zip_around_them(tmp_path, instructions):
    target = tmp_path / 'executed'
    instructions = instructions % str(target).encode()
    (tmp_path / 'bare.pth').write_bytes(instructions)
    torch.save(WEIGHTS, tmp_path / 'good.pth')
    with zipfile.ZipFile(tmp_path / 'good.pth') as good, zipfile.ZipFile(tmp_path / 'zip.pth', 'w') as evil:
        for name in good.namelist():
            evil.writestr(name, instructions if name.endswith('data.pkl') else good.read(name))
    for name in ('bare.pth', 'zip.pth'):
        with pytest.raises(ValueError, match='refused: its pickle asks for os.system'):
            load_checkpoint_file(tmp_path / name)
    assert not target.exists()


def test_what_the_user_allowed_elsewhere_is_not_allowed_here(tmp_path):
    torch.save({'state_dict': WEIGHTS, 'meta': Anything()}, tmp_path / 'c.pth')
    torch.serialization.add_safe_globals([Anything])
    try:
        with pytest.raises(ValueError, match='asks for .*Anything'):
            load_checkpoint_file(tmp_path / 'c.pth')
        assert Anything in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()


def test_threads_read_at_once_and_nothing_of_torch_changes(tmp_path):
    """Four read files with history buffers while a fifth reads one that needs an entry of its own."""
    hub = MessageHub('test_threads')
    hub.update_scalar('train/loss', 0.5)
    torch.save({'state_dict': WEIGHTS, 'message_hub': hub.state_dict()}, tmp_path / 'history.pth')
    torch.save(Anything(), tmp_path / 'theirs.pth')

    def ours():
        for _ in range(50):
            state = load_checkpoint_file(tmp_path / 'history.pth')
            assert state['message_hub']['log_scalars']['train/loss'].current() == 0.5

    def theirs():
        for _ in range(200):
            assert isinstance(torch.load(tmp_path / 'theirs.pth', weights_only=True), Anything)

    torch.serialization.add_safe_globals([Anything])
    try:
        before = set(torch.serialization.get_safe_globals())
        with ThreadPoolExecutor(5) as pool:
            for future in [pool.submit(work) for work in (ours, ours, ours, ours, theirs)]:
                future.result()
        assert set(torch.serialization.get_safe_globals()) == before
    finally:
        torch.serialization.clear_safe_globals()


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_what_training_saves_is_read_as_torch_reads_it(tmp_path, protocol, zipped):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    hub = MessageHub('test_what_training_saves')
    hub.update_scalar('train/loss', 0.5)
    base = torch.arange(24.0)
    content = {
        'state_dict': {'a': base.view(4, 6).t()[1:3], 'whole': base, 'half': torch.ones(3, dtype=torch.bfloat16)},
        'parameters': dict(model.named_parameters()),
        'optimizer': optimizer.state_dict(),
        'history': hub.state_dict(),
        'plain': [torch.Size([1]), {1, 2}, b'bytes', b'', bytearray(b'x'), 1 << 70, 1j, None, True, torch.float16],
    }
    path = tmp_path / 'c.pth'
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    ours, theirs = load_checkpoint_file(path), torch.load(path, weights_only=False)
    assert_same(ours, theirs)
    shared = [ours['state_dict'][name].untyped_storage().data_ptr() for name in ('a', 'whole')]
    assert shared[0] == shared[1]


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
        assert ours.requires_grad == theirs.requires_grad and torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert_same(value, theirs[key])
    elif isinstance(ours, (list, tuple)):
        for value, other in zip(ours, theirs, strict=True):
            assert_same(value, other)
    elif isinstance(ours, HistoryBuffer):
        assert_same(ours.data, theirs.data)
    else:
        assert np.array_equal(ours, theirs)


def test_damage_inside_of_a_pickle_is_never_more_than_an_error(tmp_path):
    """Any byte string as a pickle: read, refused or called damaged."""
    hub = MessageHub('test_damage_inside')
    hub.update_scalar('train/loss', 0.5)
    for protocol in (2, 5):
        torch.save({'a': WEIGHTS['a.bias'], 'h': hub.state_dict()}, tmp_path / 'good.pth', pickle_protocol=protocol)
        with zipfile.ZipFile(tmp_path / 'good.pth') as good:
            entries = {name: good.read(name) for name in good.namelist()}
        rng = random.Random(protocol)
        for _ in range(150):
            instructions = bytearray(entries['good/data.pkl'])
            place, source = rng.randrange(len(instructions)), rng.randrange(len(instructions))
            instructions[place : place + rng.randrange(3)] = instructions[source : source + rng.randrange(9)]
            with zipfile.ZipFile(tmp_path / 'c.pth', 'w') as archive:
                for name, content in {**entries, 'good/data.pkl': instructions}.items():
                    archive.writestr(name, content)
            with suppress(ValueError):
                load_checkpoint_file(tmp_path / 'c.pth')


@pytest.mark.parametrize(
    'instructions',
    [
        b'(I1\nI2\ncos\nsystem\nR.',
        b'c__builtin__\nbytearray\n(L1000000000000000L\ntR.',  # that much memory
        b'ctorch\nTensor\n(tR.',  # named, but not to be called
        b'ctorch\nfloat32\n}b.',
        b'ccollections\nOrderedDict\n(tR(dX\x05\x00\x00\x00itemsI1\nsb.',  # its method replaced: ignored
        b'(Xmodule\nNNNtQ.',
    ],
)
def test_instructions_by_hand(tmp_path, instructions):
    with zipfile.ZipFile(tmp_path / 'c.pth', 'w') as archive:
        archive.writestr('c/data.pkl', b'\x80\x02' + instructions)
    with pytest.raises(ValueError, match=r'c\.pth: (refused|not a (PyTorch )?checkpoint)'):
        load_checkpoint_file(tmp_path / 'c.pth')


@pytest.mark.parametrize('forced', ['TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'])
def test_torchs_switches_change_nothing(tmp_path, monkeypatch, forced):
    monkeypatch.setenv(forced, '1')
    torch.save({'a': torch.zeros(1), 'n': np.ones(2)}, tmp_path / 'c.pth')
    torch.save({'a': torch.zeros(1), 'n': print}, tmp_path / 'evil.pth')
    assert load_checkpoint_file(tmp_path / 'c.pth')
    with pytest.raises(ValueError, match='refused'):
        load_checkpoint_file(tmp_path / 'evil.pth')


def test_arrays_of_numbers_are_read_and_can_be_saved_again(tmp_path):
    kinds = ('f8', 'f4', '>f4', 'i8', 'i4', 'u1', 'b1')
    arrays = {kind: np.arange(6).reshape(2, 3).T.astype(kind) for kind in kinds}
    meta = dict(arrays, scalar=np.float64(1.5), flag=np.bool_(True), empty=np.empty((0, 3)))
    torch.save({'state_dict': WEIGHTS, 'meta': meta}, tmp_path / 'c.pth')
    read = load_checkpoint_file(tmp_path / 'c.pth')['meta']
    torch.save({'state_dict': WEIGHTS, 'meta': read}, tmp_path / 'again.pth')
    again = torch.load(tmp_path / 'again.pth', weights_only=False)['meta']
    for loaded in (read, again):
        for name, value in meta.items():
            np.testing.assert_array_equal(loaded[name], value)
            assert loaded[name].dtype == value.dtype.newbyteorder('=')
    assert type(again['f8']) is np.ndarray


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', pickle.dumps([1, 2]), b'PK\x03\x04 torn'])
def test_not_a_checkpoint(tmp_path, content):
    (tmp_path / 'c.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'c\.pth: not a (PyTorch )?checkpoint'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_a_torn_file(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'whole.pth')
    (tmp_path / 'c.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:-200])
    with pytest.raises(ValueError, match='damaged'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_no_weights_in_it(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'c.pth')
    with pytest.raises(ValueError, match='no weights in it .*epoch'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth.*does not exist'):
        load_checkpoint_file(tmp_path / 'nothing.pth')
