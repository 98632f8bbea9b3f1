import copy
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch.fx.experimental import _config as shapes_config

from mmseg.engine import SegRunner
from mmseg.engine.launch import load_config
from mmseg.engine.launch import train as train_config
from mmseg.models.utils import compile_parts, resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tests.camvid import CAMVID_ROOT, needs_camvid

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


class PerRegion:
    """A backend that counts what it compiles by the shapes of its weights: how often each kind of part came."""

    def __init__(self, compiler=lambda graph, inputs: graph.forward):
        self.compiler, self.counts = compiler, Counter()

    def __call__(self, graph, inputs):
        self.counts[tuple(tuple(x.shape) for x in inputs if isinstance(x, torch.nn.Parameter))] += 1
        return self.compiler(graph, inputs)


@pytest.fixture(autouse=True)
def fresh_compiler():
    limit = torch._dynamo.config.cache_size_limit
    torch._dynamo.reset()
    with torch._dynamo.config.patch(cache_size_limit=limit), shapes_config.patch(use_duck_shape=True):
        yield  # and what the code under test sets is set back
    torch._dynamo.reset()


def segmentor(head):
    torch.manual_seed(0)
    return MODELS.build(dict(type='EncoderDecoder', backbone=TINY, decode_head=dict(num_classes=4, **HEADS[head])))


@pytest.mark.parametrize(('head', 'parts', 'widths'), [('lr', 10, 5), ('mask2former', 13, 6)])
def test_once_for_each_width_whatever_the_size(head, parts, widths):
    """A backend that runs the captured operations shows what is captured, without minutes in a C++ compiler."""
    plain = segmentor(head).eval()
    compiled, backend = copy.deepcopy(plain), PerRegion()
    assert compile_parts(compiled, backend=backend, fullgraph=True) == parts
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for size in SIZES:
        image = torch.randn(1, 3, *size)
        with torch.no_grad():
            ours, theirs = (model.whole(image)[0].scores for model in (compiled, plain))
        torch.testing.assert_close(ours, theirs)
    assert len(backend.counts) == widths and set(backend.counts.values()) == {1}


def test_three_times_for_training_and_all_images():
    model, backend = segmentor('lr'), PerRegion()
    compile_parts(model, backend=backend)
    for size in SIZES[:3]:
        model(torch.randn(2, 3, *size)).sum().backward()
    assert set(backend.counts.values()) == {1} and all(p.grad is not None for p in model.backbone.parameters())
    for size, batch in zip(SIZES, (1, 2, 3, 1, 2), strict=True):
        with torch.no_grad():
            model.eval()(torch.randn(batch, 3, *size))
    assert len(backend.counts) == 5 and set(backend.counts.values()) == {3}


@pytest.mark.slow
@needs_camvid
def test_the_real_compiler_trains_and_predicts(tmp_path, monkeypatch):
    """Minutes in a C++ compiler: the scenes' config, resumed, then CamVid's images and 20 random sizes."""
    backend = PerRegion(torch._dynamo.lookup_backend('inductor'))
    monkeypatch.setattr('mmseg.engine.runner.seg_runner.compile_parts', partial(compile_parts, backend=backend))

    def train(folder, **options):
        cfg = load_config('lrformer-n_scenes-128x128', dict(compile=True) | options, str(tmp_path / folder))
        cfg.train_cfg.update(max_iters=4, val_interval=4)
        cfg.val_dataloader.dataset.num_scenes = 10
        cfg.param_scheduler, cfg.default_hooks.checkpoint.interval = None, 2
        return train_config(cfg)

    runner = train('whole')
    assert len(backend.counts) == 5 and max(backend.counts.values()) <= 3
    torch._dynamo.reset()
    resumed = train('resumed', resume=str(tmp_path / 'whole/iter_2.pth'))
    assert all(map(torch.equal, runner.model.state_dict().values(), resumed.model.state_dict().values()))
    assert 'no longer bit-identical' not in log_of(resumed)
    resumed = train('eager', compile=False, resume=str(tmp_path / 'whole/iter_2.pth'))
    assert '(compile: True -> False)' in log_of(resumed)

    compiled, plain = runner.model.eval(), resumed.model.eval()
    plain.load_state_dict(compiled.state_dict())
    torch._dynamo.reset()
    backend.counts.clear()
    files = sorted((CAMVID_ROOT / 'images').rglob('*.jpg'))[::50]
    images = [torch.from_numpy(cv2.imread(str(file))).permute(2, 0, 1) for file in files]
    rng = np.random.default_rng(0)
    sizes = [tuple(int(side) for side in rng.integers(64, 400, 2)) for _ in range(20)]
    for image in images + [resize(images[0][None].float(), size=size)[0] for size in sizes]:
        labels = []
        for model in (compiled, plain):
            with torch.no_grad():
                sample = SegDataSample(metainfo=dict(ori_shape=image.shape[1:], img_shape=image.shape[1:]))
                labels.append(model.test_step(dict(inputs=[image], data_samples=[sample]))[0].pred_sem_seg.data)
        assert (labels[0] == labels[1]).float().mean() >= 0.999
    assert len(backend.counts) == 5 and set(backend.counts.values()) == {1}


def log_of(runner):
    return next(Path(runner.work_dir).glob('*/*.log')).read_text()


def test_on_a_cpu_it_warns(monkeypatch):
    said = []
    monkeypatch.setattr('mmseg.models.utils.compiling.print_log', lambda text, **_: said.append(text))
    compile_parts(MODELS.build(TINY), backend='eager')
    compile_parts(MODELS.build(TINY).to('meta'), backend='eager')
    assert len(said) == 1 and 'on a CPU, compiled parts are slower' in said[0]


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
        for _ in range(2):
            SegRunner._compile_parts(runner)
        assert runner._compiled and len(runner.said) == 1 and 'compiling 8 parts' in runner.said[0]

    @pytest.mark.parametrize('value', [None, False])
    def test_off(self, value):
        runner = self.runner(MODELS.build(TINY), value)
        SegRunner._compile_parts(runner)
        assert not runner._compiled and not runner.said

    def test_what_cannot_be(self):
        with pytest.raises(TypeError, match="compile='inductor' is not True, False or a dict"):
            SegRunner._compile_parts(self.runner(MODELS.build(TINY), 'inductor'))
        with pytest.raises(ValueError, match='no part that can be compiled'):
            SegRunner._compile_parts(self.runner(torch.nn.Linear(2, 2), True))
