"""What only a GPU shows. `bash tests/on_gpu.sh` runs these first, then the timings."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tests.published import DATA, formula_image, formula_weights

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA'),
]
TINY = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 2, 1), q_pooled_sizes=(4, 4, 4, 4))
HEADS = {
    't': dict(type='LRHead', channels=32, num_heads=2, q_pooled_size=8),
    't-plus': dict(type='Mask2FormerHead', feat_channels=32, loss_decode=dict(type='Mask2FormerLoss', num_points=100)),
}


def build(head, backbone=TINY, num_classes=5, **cfg):
    torch.manual_seed(0)
    head = dict(num_classes=num_classes, **HEADS[head])
    preprocessor = dict(type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, size=(64, 64))
    cfg = dict(type='EncoderDecoder', backbone=backbone, decode_head=head, data_preprocessor=preprocessor, **cfg)
    return MODELS.build(cfg).cuda()


def batch():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (2, 1, 64, 64), generator=generator)
    return dict(
        inputs=list(torch.randn(2, 3, 64, 64, generator=generator)),
        data_samples=[SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels],
    )


@pytest.fixture
def full_precision(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


@pytest.mark.parametrize('name', ['t', 't-plus'])
def test_published_outputs(name, full_precision):
    expected = np.load(DATA / f'lrformer-{name}_outputs.npz')
    head = dict(type={'t': 'LRHead', 't-plus': 'Mask2FormerHead'}[name], num_classes=150)
    model = MODELS.build(
        dict(type='EncoderDecoder', backbone=dict(type='LRFormer', variant='t'), decode_head=head)
    ).eval()
    model.load_state_dict(formula_weights(f'lrformer-{name}'), strict=True)
    with torch.inference_mode():
        out = model.cuda()(formula_image(96, 160).cuda(), mode='tensor')
    found, key = (out, 'logits') if name == 't' else (out[1][9][:, ::10], 'mask9')
    expected = expected[f'96x160/{key}']
    assert np.abs(found.cpu().numpy() - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize('name', ['t', 't-plus'])
def test_a_step_waits_for_the_gpu_once(name):
    """The host reads what it must of a step (are the numbers finite; for Mask2Former, the matching's costs)."""
    model = build(name).train()
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='AdamW', lr=1e-4), type='OptimWrapper'))
    data = model.data_preprocessor(batch(), training=True)
    model(**data, mode='loss')  # makes what is cached
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        if name == 't':
            losses = model(**data, mode='loss')
            loss, _ = model.parse_losses(losses)
            loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    optim_wrapper.zero_grad()
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with pytest.warns(UserWarning, match='called a synchronizing CUDA operation') as found:
            model.train_step(batch(), optim_wrapper=optim_wrapper)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    places = {(w.filename, w.lineno) for w in found if 'synchronizing' in str(w.message)}
    assert len(places) <= (1 if name == 't' else 4), sorted(places)  # the batch's own copies to the GPU included


@pytest.mark.parametrize('name', ['t', 't-plus'])
def test_deterministic_mode_gives_the_same_bits(name, monkeypatch):
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.use_deterministic_algorithms(True)
    try:
        gradients = []
        for _ in range(2):
            model = build(name).train()
            data = model.data_preprocessor(batch(), training=True)
            sum(v for k, v in model(**data, mode='loss').items() if 'loss' in k).backward()
            gradients.append([p.grad.clone() for p in model.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_trains(dtype):
    if dtype == 'bfloat16' and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip('this GPU only emulates bfloat16')
    model = build('t').train()
    cfg = dict(optimizer=dict(type='AdamW', lr=1e-3), type='AmpOptimWrapper', dtype=dtype)
    optim_wrapper = build_optim_wrapper(model, Config(cfg))
    losses = [model.train_step(batch(), optim_wrapper=optim_wrapper)['loss'].item() for _ in range(20)]
    assert losses[-1] < losses[0]


def test_nccl_with_one_process():
    store = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True)  # on a free port
    torch.distributed.init_process_group('nccl', store=store, rank=0, world_size=1)
    try:
        model = torch.nn.parallel.DistributedDataParallel(build('t').train())
        model(torch.randn(2, 3, 64, 64, device='cuda'), mode='tensor').sum().backward()
        assert all(p.grad is not None for p in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def test_compiled_blocks():
    from mmseg.models.utils import compile_parts

    plain, compiled = build('t').eval(), build('t').eval()
    compile_parts(compiled)
    for side in (64, 96):
        image = torch.randn(1, 3, side, 64, device='cuda')
        with torch.no_grad():
            torch.testing.assert_close(compiled(image), plain(image), rtol=1e-3, atol=1e-3)
