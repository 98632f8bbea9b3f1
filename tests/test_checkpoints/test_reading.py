import functools
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file
from torch import nn

from mmseg.checkpoints import dataset_meta_of, load_checkpoint_file, load_model_weights
from mmseg.registry import MODELS

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
    ],
)
def test_harmless_classes_are_refused_what_would_not_be_harmless(tmp_path, payload):
    torch.save({'state_dict': WEIGHTS, 'meta': {'a': [payload]}}, tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused: its pickle asks for .*(getattr|numpy)'):
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


@pytest.mark.parametrize(
    ('meta', 'classes'),
    [
        ({'dataset_meta': {'classes': ('a',), 'palette': [[1, 2, 3]]}}, ('a',)),
        ({'CLASSES': ('b',), 'PALETTE': [[1, 2, 3]]}, ('b',)),  # mmsegmentation 0.x
        ({'CLASSES': ('b',), 'PALETTE': None}, None),
        ({'dataset_meta': None}, None),
        ({'dataset_meta': 'road'}, None),
        ({}, None),
        ('text', None),
        (None, None),
    ],
)
def test_class_names_that_a_checkpoint_states(meta, classes):
    stated = dataset_meta_of({'meta': meta})
    assert stated is None if classes is None else stated['classes'] == classes


def test_no_weights_in_it(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'c.pth')
    with pytest.raises(ValueError, match='no weights in it .*epoch'):
        load_checkpoint_file(tmp_path / 'c.pth')


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth.*does not exist'):
        load_checkpoint_file(tmp_path / 'nothing.pth')


def test_all_or_nothing():
    model = nn.Sequential(OrderedDict(a=nn.Linear(3, 2), b=nn.Linear(2, 2)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r'(?s)f\.pth does not fit.*in the model only \(2\): b\.weight, b\.bias'):
        load_model_weights(model, WEIGHTS, source='f.pth')
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class TestClassifier:
    """Weights of a model with another class count."""

    @staticmethod
    def model(num_classes):
        backbone = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1))
        return MODELS.build(
            dict(
                type='EncoderDecoder',
                backbone=backbone,
                decode_head=dict(type='LRHead', channels=16, num_classes=num_classes),
            )
        )

    def test_is_refused_with_both_counts(self):
        with pytest.raises(ValueError, match='has 7 classes, the model 3: set decode_head.num_classes'):
            load_model_weights(self.model(3), self.model(7).state_dict(), source='f.pth')

    def test_is_left_out_on_request(self):
        model, weights = self.model(3), self.model(7).state_dict()
        before = model.decode_head.conv_seg.weight.clone()
        load_model_weights(model, weights, source='f.pth', ignore_mismatched_sizes=True)
        assert torch.equal(model.decode_head.conv_seg.weight, before)
        assert torch.equal(model.decode_head.squeeze1.conv.weight, weights['decode_head.squeeze1.conv.weight'])

    def test_only_the_classifier_may_differ(self):
        model, weights = self.model(3), self.model(7).state_dict()
        weights['decode_head.squeeze1.conv.weight'] = torch.zeros(8, 68, 1, 1)
        with pytest.raises(ValueError, match=r'other shape \(1\): decode_head\.squeeze1'):
            load_model_weights(model, weights, source='f.pth', ignore_mismatched_sizes=True)
