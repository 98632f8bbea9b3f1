"""What is recorded, and when. Recording itself needs a GPU: tests/test_on_gpu.py."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmseg.engine import SegRunner
from mmseg.models.utils import cuda_graphs, record_parts
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

register_all_modules()
TINY = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1), q_pooled_sizes=(4, 4, 4, 4))


class OnGPU(torch.Tensor):
    is_cuda = True


def image(*shape):
    return torch.ones(shape).as_subclass(OnGPU)


class Doubling(nn.Module):
    recordable = True

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x, *others):
        return (x * self.weight).as_subclass(torch.Tensor)


class Counted:
    """In place of a recording: what it was asked for, and its answers, -1 in all places."""

    made = []

    def __init__(self, module, inputs, function):
        self.made.append(tuple(inputs[0].shape))
        self.weights = [(p, p.data_ptr(), p.requires_grad) for p in module.parameters()]

    holds_for = cuda_graphs.Recording.holds_for

    def __call__(self, inputs):
        return -torch.ones(inputs[0].shape)


@pytest.fixture
def part(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    for kind in ('Recording', 'Training'):
        monkeypatch.setattr(cuda_graphs, kind, type(kind, (Counted,), dict(made=[])))
    module = Doubling()
    assert record_parts(nn.Sequential(module)) == 1
    return module


def replayed(module, *args):
    with torch.no_grad():
        return bool((module(*args) == -1).all())


def test_a_size_is_recorded_when_it_comes_again(part):
    assert [replayed(part, image(2, 3)) for _ in range(3)] == [False, True, True]
    assert [replayed(part, image(2, 4)) for _ in range(2)] == [False, True]
    assert cuda_graphs.Recording.made == [(2, 3), (2, 4)]


def test_every_mode_has_its_own(part, monkeypatch):
    x = image(2, 3)
    calls = [
        lambda: part(x),
        lambda: part(x, x),
        lambda: part(x.clone().requires_grad_()),
        lambda: part(x.double()),
        lambda: part(image(3, 2).t()),
        lambda: part.eval()(x),
    ]
    for count, call in enumerate(calls, 1):
        for _ in range(2):
            part.train()
            call()
        assert len(cuda_graphs.Training.made) == count
    with monkeypatch.context() as patch:
        patch.setattr(torch, 'is_autocast_enabled', lambda device: device == 'cuda')
        part.train()(x)
    assert len(cuda_graphs.Training.made) == len(calls) + 1 and cuda_graphs.Recording.made == []


def test_a_frozen_part_has_no_backward_pass(part):
    part.weight.requires_grad_(False)
    part(image(2, 3))
    assert cuda_graphs.Training.made == [] and cuda_graphs.Recording.made == [(2, 3)]


@pytest.mark.parametrize('change', ['moved', 'replaced', 'frozen'])
def test_changed_weights_are_recorded_anew(part, change):
    for _ in range(2):
        replayed(part, image(2, 3))
    if change == 'moved':
        part.weight.data = part.weight.data.clone()
    elif change == 'replaced':
        part.weight = nn.Parameter(torch.tensor(3.0))
    else:
        part.weight.requires_grad_(False)
    assert replayed(part, image(2, 3)) and cuda_graphs.Recording.made == [(2, 3)] * 2
    with torch.no_grad():
        part.weight.fill_(4.0)  # where it is
    assert replayed(part, image(2, 3)) and len(cuda_graphs.Recording.made) == 2


def test_of_many_sizes_the_first_ones_are_kept(part, monkeypatch):
    monkeypatch.setattr(cuda_graphs, 'MOST', 2)
    for _ in range(3):
        found = [replayed(part, image(1, width)) for width in (3, 4, 5)]
    assert found == [True, True, False] and len(cuda_graphs.Recording.made) == 2


def test_what_cannot_be_recorded_runs_as_before(part, monkeypatch):
    said = []
    monkeypatch.setattr(cuda_graphs, 'print_log', lambda text, **_: said.append(text))

    def refuse(*_):
        raise RuntimeError('operation not permitted when stream is capturing\nmore')

    monkeypatch.setattr(cuda_graphs, 'Recording', refuse)
    assert not any(replayed(part, image(2, 3)) for _ in range(4))
    assert len(said) == 1 and 'Doubling cannot be recorded, and runs as without: operation not permitted' in said[0]


def test_other_inputs_are_not_recorded(part):
    for _ in range(3):
        assert not replayed(part, torch.ones(2, 3)) and not replayed(part, image(2, 3), 1)
    assert cuda_graphs.Recording.made == []


def test_a_copy_records_for_itself(part):
    for _ in range(2):
        replayed(part, image(2, 3))
    for other in (copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        with torch.no_grad():
            other.weight.fill_(5.0)
            assert other(image(2, 3)).eq(5).all()
        assert other.forward.module is other and list(other.state_dict()) == ['weight']


def test_no_part_lies_within_another(monkeypatch):
    head = dict(type='Mask2FormerHead', feat_channels=32, num_encoder_layers=2, num_decoder_layers=3)
    model = MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(num_classes=4, **head)))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert record_parts(model) == 1 + 1 + 3  # backbone, pixel decoder, the queries' layers
    names = [
        name for name, module in model.named_modules() if isinstance(vars(module).get('forward'), cuda_graphs.Recorded)
    ]
    assert names[:2] == ['backbone', 'decode_head.pixel_decoder']
    with pytest.raises(ValueError, match='no part that can be recorded'):
        record_parts(nn.Linear(2, 2))


def test_without_a_gpu_it_warns(monkeypatch):
    said = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(cuda_graphs, 'print_log', lambda text, **_: said.append(text))
    module = Doubling()
    assert record_parts(module) == 1 and 'no CUDA device here' in said[0] and 'forward' not in vars(module)


def test_the_config_key(monkeypatch):
    counts = []
    monkeypatch.setattr('mmseg.engine.runner.seg_runner.record_parts', counts.append)
    runner = SimpleNamespace(cfg={}, model=Doubling(), _recorded=False)
    SegRunner._record_parts(runner)
    assert not counts
    runner.cfg['cuda_graphs'] = True
    for _ in range(2):
        SegRunner._record_parts(runner)
    assert counts == [runner.model]
    runner.cfg['cuda_graphs'] = 'yes'
    with pytest.raises(TypeError, match="cuda_graphs='yes' is not True or False"):
        SegRunner._record_parts(runner)
