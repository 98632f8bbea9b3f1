import os
import pickle
from collections import OrderedDict

import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file
from torch import nn

from mmseg.registry import MODELS
from mmseg.utils import load_checkpoint_file, load_model_weights

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


class Command:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f'touch {self.target}',)


class Attribute:
    """Asks for an attribute in the way in which history buffers ask for their statistics."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.mark.parametrize('payload', [Command('{target}'), Attribute()])
def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path, payload):
    target = tmp_path / 'executed'
    if isinstance(payload, Command):
        payload.target = target
    torch.save({'state_dict': WEIGHTS, 'meta': payload}, tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: refused: its pickle asks for .*(system|getattr)'):
        load_checkpoint_file(tmp_path / 'evil.pth')
    assert not target.exists()


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
