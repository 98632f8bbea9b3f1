import pytest
import torch
from torch import nn

from mmseg.engine.amp import amp_dtype
from mmseg.engine.optimizers import AmpOptimWrapper

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without CUDA')
with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')


def train(device, **kwargs):
    torch.manual_seed(0)
    model = nn.Linear(8, 8).to(device)
    wrapper = AmpOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), clip_grad=dict(max_norm=5.0), **kwargs)
    images = torch.randn(16, 8, device=device)
    losses = []
    for _ in range(20):
        with wrapper.optim_context(model):
            output = model(images)
            losses.append(((output.float() - images) ** 2).mean())
        wrapper.update_params(losses[-1])
    return wrapper, model, output, losses


@without_cuda
@pytest.mark.parametrize('dtype', ['bfloat16', None])
def test_bfloat16_trains_on_the_cpu(dtype):
    wrapper, model, output, losses = train('cpu', dtype=dtype)
    assert output.dtype is torch.bfloat16 and model.weight.dtype is torch.float32
    assert losses[-1] < 0.8 * losses[0]
    assert wrapper.loss_scaler is None and 'loss_scaler' not in wrapper.state_dict()


@without_cuda
def test_float16_on_the_cpu_is_refused():
    with pytest.raises(ValueError, match='on the CPU use bfloat16'):
        amp_dtype('float16')


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="one of bfloat16, float16, not 'fp16'"):
        amp_dtype('fp16')


@pytest.mark.cuda
@with_cuda
def test_float16_scales_losses_and_keeps_its_scale():
    wrapper, _, output, losses = train('cuda', dtype='float16', loss_scale=256.0)
    assert output.dtype is torch.float16 and losses[-1] < 0.8 * losses[0]
    wrapper.loss_scaler.update(64.0)
    other, *_ = train('cuda', dtype='float16')
    other.load_state_dict(wrapper.state_dict())
    assert other.loss_scaler.get_scale() == 64.0


def test_a_state_loads_into_another_precision():
    model = nn.Linear(2, 2)
    wrapper = AmpOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), dtype='bfloat16')
    state = wrapper.state_dict()
    wrapper.load_state_dict({**state, 'loss_scaler': dict(scale=2.0)})
    assert wrapper.optimizer.param_groups[0]['lr'] == 0.1
