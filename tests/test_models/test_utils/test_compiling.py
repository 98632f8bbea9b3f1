import copy
from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from mmseg.engine import SegRunner
from mmseg.models.utils import compile_parts
from mmseg.registry import MODELS

TINY = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(2, 2, 3, 1), q_pooled_sizes=(4, 4, 4, 4))
HEADS = {
    'lr': dict(type='LRHead', channels=16, num_heads=2, q_pooled_size=4),
    'mask2former': dict(
        type='Mask2FormerHead',
        feat_channels=32,
        num_queries=5,
        num_encoder_layers=2,
        num_decoder_layers=3,
        encoder_ffn_channels=48,
        decoder_ffn_channels=64,
    ),
}
SIZES = [(64, 64), (64, 96), (96, 65), (130, 70), (360, 480)]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(('head', 'widths'), [('lr', 5), ('mask2former', 6)])
def test_once_for_each_width_whatever_the_size(head, widths):
    """A backend that runs the captured operations shows what is captured, without minutes in a C++ compiler."""
    torch.manual_seed(0)
    cfg = dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(num_classes=4, **HEADS[head]))
    plain = MODELS.build(cfg).eval()
    compiled, counter = copy.deepcopy(plain), CompileCounter()
    assert compile_parts(compiled, backend=counter, fullgraph=True) == (10 if head == 'lr' else 13)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    counts = []
    for size in SIZES:
        image = torch.randn(1, 3, *size)
        with torch.no_grad():
            ours, theirs = (model.whole(image)[0].scores for model in (compiled, plain))
        torch.testing.assert_close(ours, theirs)
        counts.append(counter.frame_count)
    assert counts[1] <= 2 * widths and counts[-1] == counts[1]


def test_training_compiles_once_more():
    cfg = dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(num_classes=4, **HEADS['lr']))
    model, counter = MODELS.build(cfg), CompileCounter()
    compile_parts(model, backend=counter)
    for size in SIZES[:3]:
        model(torch.randn(2, 3, *size)).sum().backward()
    assert counter.frame_count <= 10 and all(p.grad is not None for p in model.backbone.parameters())


def test_a_copy_has_weights_of_its_own():
    """As the average of a model's weights has, which is a copy of it."""
    model = MODELS.build(TINY).eval()
    compile_parts(model, backend='eager')
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
        assert model(torch.ones(1, 3, 32, 32))[-1].abs().sum() > 0 == other(torch.ones(1, 3, 32, 32))[-1].abs().sum()


class TestConfigKey:
    @staticmethod
    def runner(model, compile):
        said = []
        logger = SimpleNamespace(info=said.append)
        return SimpleNamespace(cfg=dict(compile=compile), model=model, logger=logger, said=said, _compiled=False)

    def test_true_compiles_once(self):
        runner = self.runner(MODELS.build(TINY), dict(backend='eager'))
        for target in ('train_step', 'val_step'):
            SegRunner._maybe_compile(runner, target)
        assert runner._compiled and len(runner.said) == 1 and 'compiling 8 parts' in runner.said[0]

    @pytest.mark.parametrize('value', [None, False])
    def test_off(self, value):
        runner = self.runner(MODELS.build(TINY), value)
        SegRunner._maybe_compile(runner, 'train_step')
        assert not runner._compiled and not runner.said

    def test_what_cannot_be(self):
        with pytest.raises(TypeError, match="compile='inductor' is not True, False or a dict"):
            SegRunner._maybe_compile(self.runner(MODELS.build(TINY), 'inductor'), 'train_step')
        with pytest.raises(ValueError, match='no part that can be compiled'):
            SegRunner._maybe_compile(self.runner(torch.nn.Linear(2, 2), True), 'train_step')
