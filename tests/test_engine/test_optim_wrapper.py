from functools import partial
from unittest.mock import patch

import pytest
import torch
from torch import nn

from mmseg.engine.optimizers import AmpOptimWrapper, OptimWrapper, amp_optim_wrapper

BAD = [float('nan'), float('inf'), -float('inf')]


def make(kind=OptimWrapper, **kwargs):
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    return model, kind(torch.optim.AdamW(model.parameters(), lr=0.1), **kwargs)


def step(model, wrapper, factor=1.0, offset=0.0):
    with wrapper.optim_context(model):
        wrapper.update_params((model(torch.ones(1, 2)) * factor).sum().float() + offset)


@pytest.mark.parametrize('kind', [OptimWrapper, partial(AmpOptimWrapper, dtype='bfloat16')])
@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('part', ['factor', 'offset'])
def test_a_step_without_finite_numbers_changes_nothing(kind, bad, part):
    """With a bad offset, the gradient is good and the loss alone is not."""
    model, wrapper = make(kind, clip_grad=dict(max_norm=1.0))
    step(model, wrapper)
    before = [p.clone() for p in model.parameters()], str(wrapper.state_dict())
    step(model, wrapper, **{part: bad})
    assert wrapper.skipped
    assert all(map(torch.equal, before[0], model.parameters())) and str(wrapper.state_dict()) == before[1]
    step(model, wrapper)
    assert not wrapper.skipped and not torch.equal(before[0][0], model.weight)


def test_one_bad_pass_of_several_leaves_out_the_step():
    model, wrapper = make(accumulative_counts=3)
    before = model.weight.clone()
    for offset in (0.0, float('nan'), 0.0):
        step(model, wrapper, offset=offset)
    assert wrapper.skipped and torch.equal(model.weight, before)
    for _ in range(3):
        step(model, wrapper)
    assert not wrapper.skipped and not torch.equal(model.weight, before)


@pytest.fixture
def float16(monkeypatch):
    """The scaler as on CUDA."""
    monkeypatch.setattr(amp_optim_wrapper, 'amp_dtype', lambda name: torch.float16)
    monkeypatch.setattr(amp_optim_wrapper, 'autocast', lambda dtype: torch.autocast('cpu', enabled=False))
    with patch('torch.amp.GradScaler', lambda device, **kwargs: scaler('cpu', **kwargs)) as _:
        yield


scaler = torch.amp.GradScaler


def test_overflow_is_the_scaler_s_business_until_the_scale_is_not_to_blame(float16):
    model, wrapper = make(AmpOptimWrapper, loss_scale=4.0)
    before = model.weight.clone()
    for scale in (2.0, 1.0):
        with patch.object(wrapper, 'backward', lambda loss: overflow(wrapper, model, loss)):
            step(model, wrapper)
        assert not wrapper.skipped and wrapper.loss_scaler.get_scale() == scale
    with patch.object(wrapper, 'backward', lambda loss: overflow(wrapper, model, loss)):
        step(model, wrapper)
    assert wrapper.skipped and torch.equal(model.weight, before)


def overflow(wrapper, model, loss):
    AmpOptimWrapper.backward(wrapper, loss)
    model.weight.grad.fill_(float('inf'))


def test_a_bad_loss_counts_with_a_scaler_and_leaves_the_scale(float16):
    model, wrapper = make(AmpOptimWrapper, loss_scale=1024.0, clip_grad=dict(max_norm=1.0))
    step(model, wrapper, offset=float('nan'))
    assert wrapper.skipped and wrapper.loss_scaler.get_scale() == 1024
    before = model.weight.clone()
    step(model, wrapper)
    assert not wrapper.skipped and not torch.equal(before, model.weight)


@pytest.mark.parametrize('kind', [OptimWrapper, partial(AmpOptimWrapper, dtype='bfloat16')])
def test_state_of_other_parameters_is_refused_with_the_way_out(kind):
    """A run that is resumed with other parts frozen."""
    model, wrapper = make(kind)
    step(model, wrapper)
    frozen = kind(torch.optim.AdamW([model.weight], lr=0.1))
    with pytest.raises(ValueError, match='trained 2 tensors in groups of 2, this run trains 1 .*freeze.*load_from'):
        frozen.load_state_dict(wrapper.state_dict())
