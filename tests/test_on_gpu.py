"""What only a GPU shows. `bash tests/on_gpu.sh` runs these first, then the timings."""

import copy
import importlib

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData

from mmseg.engine.optimizers import AmpOptimWrapper, OptimWrapper
from mmseg.models.layers import MSDeformAttention, from_host, ms_deform_attn
from mmseg.models.layers.mlp import MLP, ResidualDWConv
from mmseg.models.utils import record_parts
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tests import upstream_configs
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


@pytest.mark.parametrize(('name', 'places'), [('t', 1), ('t-plus', 4)])
def test_a_step_waits_for_the_gpu_once(name, places):
    """The host reads what it must of a step: are the numbers finite; for Mask2Former, the matching's costs."""
    model = build(name).train()
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='AdamW', lr=1e-4), type=OptimWrapper))
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
    found = {f'{w.filename}:{w.lineno}' for w in found if 'synchronizing' in str(w.message)}
    assert len(found) <= places, '\n'.join(sorted(found))


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
    cfg = dict(optimizer=dict(type='AdamW', lr=1e-3), type=AmpOptimWrapper, dtype=dtype)
    optim_wrapper = build_optim_wrapper(model, cfg)
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


def with_and_without(model):
    """The model, and a copy of it that replays; both say what they did with the same random numbers."""
    replaying = copy.deepcopy(model)
    record_parts(replaying)
    return model, replaying


def recordings(model):
    return [r for m in model.modules() if 'forward' in vars(m) for r in m.forward.recordings.values()]


@pytest.mark.parametrize('amp', [None, torch.bfloat16])
@pytest.mark.parametrize('name', ['t', 't-plus'])
@torch.no_grad()
def test_replayed_predictions_have_the_same_bits(name, amp):
    plain, replaying = with_and_without(build(name).eval())
    for turn in range(4):
        for size in ((1, 3, 64, 64), (2, 3, 64, 96)):
            image = torch.randn(size, device='cuda')
            with torch.autocast('cuda', dtype=amp or torch.bfloat16, enabled=amp is not None):
                expected, found = plain(image), replaying(image)
            torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=f'turn {turn}, {size}')
    assert None not in recordings(replaying) and len(recordings(replaying)) == 2 * (2 if name == 't' else 11)


@pytest.mark.parametrize('amp', [None, 'bfloat16', 'float16'])
@pytest.mark.parametrize('name', ['t', 't-plus'])
def test_replayed_steps(name, amp, monkeypatch):
    """With dropped paths, whose random numbers are drawn within what is recorded. Replays have each other's bits; some
    sums of gradients have another order without."""
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.use_deterministic_algorithms(name == 't')
    try:
        plain, replaying = with_and_without(build(name, TINY | dict(drop_path_rate=0.5)).train())
        again = copy.deepcopy(replaying)
        weights, losses = [], []
        for model in (plain, replaying, again):
            cfg = dict(optimizer=dict(type='AdamW', lr=1e-3), type=AmpOptimWrapper if amp else OptimWrapper)
            optim_wrapper = build_optim_wrapper(model, cfg | (dict(dtype=amp) if amp else {}))
            losses.append([])
            for i in range(5):
                torch.manual_seed(i)
                losses[-1].append(model.train_step(batch(), optim_wrapper=optim_wrapper)['loss'].item())
            weights.append(dict(model.state_dict()))
    finally:
        torch.use_deterministic_algorithms(False)
    assert len(recordings(replaying)) == (2 if name == 't' else 11) and None not in recordings(replaying)
    if name == 't':
        torch.testing.assert_close(weights[2], weights[1], rtol=0, atol=0)
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    else:  # from the second step on the matching may differ
        np.testing.assert_allclose(losses[1][:2], losses[0][:2], rtol=1e-2)


def test_replayed_passes_add_up():
    """Two passes before a step, and two forward passes before their backward passes."""
    pair = with_and_without(build('t').train())
    images = torch.randn(4, 2, 3, 64, 64, device='cuda')
    gradients = []
    for model in pair:
        for image in images:
            torch.manual_seed(0)
            model.zero_grad()
            model(image).square().sum().backward()
        model.zero_grad()
        for image in images:
            model(image).square().sum().backward()
        (model(images[0]).square().sum() + model(images[1]).square().sum()).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('family', upstream_configs.TINY)
@torch.no_grad()
def test_other_networks_replay_as_well(family):
    torch.manual_seed(0)
    plain, replaying = with_and_without(MODELS.build(upstream_configs.TINY[family]()).cuda().eval())
    for turn in range(4):
        image = torch.randn(1, 3, 64, 96, device='cuda')
        found = []
        for model in (plain, replaying):
            torch.manual_seed(turn)
            found.append(model(image))
        torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert recordings(replaying) and None not in recordings(replaying)


@pytest.mark.parametrize('numbers', [[1.5, 2], [], np.arange(6).reshape(2, 3), torch.ones(3)])
def test_numbers_of_the_host_come_without_waiting(numbers):
    torch.cuda.set_sync_debug_mode('error')
    try:
        found = from_host(numbers, torch.device('cuda'), torch.float32)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert torch.equal(found.cpu(), torch.as_tensor(numbers, dtype=torch.float32))


class TestDeformableAttention:
    """The kernels against embedding_bag, where the pixel decoder has them for 512x512. Odd sizes:
    test_models/test_layers/test_deform_attn_kernels.py."""

    SHAPES = [(16, 16), (32, 32), (64, 64)]

    def inputs(self, dtype=torch.float32, B=2, M=8, D=32, K=4):
        torch.manual_seed(0)
        S = sum(height * width for height, width in self.SHAPES)
        value = torch.randn(B, S, M, D, device='cuda').to(dtype)
        points = torch.rand(B, S, M, len(self.SHAPES), K, 2, device='cuda') * 1.2 - 0.1
        weights = torch.randn(B, S, M, len(self.SHAPES), K, device='cuda').flatten(3).softmax(-1)
        return [x.requires_grad_() for x in (value, points, weights.view(points.shape[:-1]))]

    def plain(self, value, points, weights):
        module = importlib.import_module('mmseg.models.layers.ms_deform_attn')  # the function has its name
        return module._sample(value.float(), points, weights, self.SHAPES).to(value.dtype)

    def fused(self, value, points, weights):
        out = ms_deform_attn(value, self.SHAPES, points, weights)
        assert 'FusedDeformAttn' in out.grad_fn.name()
        return out

    def with_gradients(self, function, args):
        out = function(*args)
        gradient = torch.linspace(-1, 1, out.shape[-1]).to(out).expand_as(out)
        return out.detach(), *torch.autograd.grad(out, args, gradient)

    @pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
    def test_results_and_gradients(self, dtype):
        args = self.inputs(dtype)
        found, expected = self.with_gradients(self.fused, args), self.with_gradients(self.plain, args)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype
            tolerance = 1e-5 if a.dtype == torch.float32 else torch.finfo(dtype).eps
            assert (a.double() - b.double()).norm() <= tolerance * b.double().norm()
        with torch.inference_mode():
            assert torch.equal(ms_deform_attn(args[0], self.SHAPES, *args[1:]), found[0])

    def test_memory(self):
        """Beside its arguments: the result, and three gradients."""
        peaks = {}
        for function in (self.fused, self.plain):
            args = self.inputs()
            self.with_gradients(function, args)  # what is made once
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.with_gradients(function, args)
            peaks[function.__name__] = torch.cuda.max_memory_allocated() - before
        numbers = 2 * args[0].numel() + sum(x.numel() for x in args)  # with the upstream gradient, made contiguous
        assert peaks['fused'] <= 1.2 * 4 * numbers
        assert peaks['fused'] <= peaks['plain'] / 3, peaks

    def test_deterministic_gradients_are_those_of_embedding_bag(self):
        args = self.inputs()
        torch.use_deterministic_algorithms(True)
        try:
            first, second = (
                self.with_gradients(lambda *x: ms_deform_attn(x[0], self.SHAPES, *x[1:]), args) for _ in range(2)
            )
            out = ms_deform_attn(args[0], self.SHAPES, *args[1:])
        finally:
            torch.use_deterministic_algorithms(False)
        assert 'FusedDeformAttn' not in out.grad_fn.name()
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    def test_what_is_compiled_or_counted_goes_through_operators_of_pytorch(self):
        from mmseg.analysis.flops import count

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = MSDeformAttention(32, num_heads=4, num_levels=2, num_points=3)

            def forward(self, image, mode):
                x = torch.zeros(1, 20, 32, device=image.device)
                return self.attention(x, x, torch.zeros(20, 2, device=image.device), [(4, 4), (2, 2)])

        assert count(Layer().cuda(), (8, 8)) == count(Layer(), (8, 8))
        args = self.inputs()
        compiled = torch.compile(lambda *x: ms_deform_attn(x[0], self.SHAPES, *x[1:]), backend='eager')
        torch.testing.assert_close(compiled(*args), self.fused(*args), rtol=1e-4, atol=1e-4)

    def test_the_layer_waits_for_nothing_at_a_new_size(self):
        layer = MSDeformAttention(32, num_heads=4, num_levels=2, num_points=3).cuda()
        x, reference = torch.randn(2, 24, 32, device='cuda'), torch.rand(24, 2, device='cuda')
        layer(x, x, reference, [(4, 5), (2, 2)]).sum().backward()  # tries Triton
        torch.cuda.set_sync_debug_mode('error')
        try:
            layer(x, x, reference, [(5, 4), (2, 2)]).sum().backward()
        finally:
            torch.cuda.set_sync_debug_mode('default')

    def test_sizes_that_do_not_fit(self):
        value, points, weights = (x.detach() for x in self.inputs())
        with pytest.raises(ValueError, match='do not go with levels'):
            ms_deform_attn(value, [(16, 16), (32, 32), (64, 65)], points, weights)


class TestDepthwiseConvolution:
    """The kernels against PyTorch's convolution, at published sizes. Odd ones:
    test_models/test_layers/test_dwconv_kernels.py."""

    SIZES = [(8, 384, 128, 128), (2, 2560, 16, 16), (1, 48, 11, 15)]

    def inputs(self, size, dtype=torch.float32):
        torch.manual_seed(0)
        conv = ResidualDWConv(size[1]).cuda()
        x = torch.randn(size, device='cuda').to(dtype).contiguous(memory_format=torch.channels_last)
        return conv, x.requires_grad_(), torch.randn_like(x)

    def with_gradients(self, conv, x, gradient, gelu=False, mixed=None):
        with torch.autocast('cuda', dtype=mixed or torch.bfloat16, enabled=mixed is not None):
            out = conv(x, gelu=gelu)
        assert 'FusedDWConv' in out.grad_fn.name()
        return [out.detach(), *torch.autograd.grad(out, [x, *conv.parameters()], gradient)]

    def expected(self, conv, x, gradient, gelu=False):
        """In float32 without TensorFloat-32, of what GELU is rounded to."""
        act = torch.nn.functional.gelu(x) if gelu else x
        y = act.detach().float().requires_grad_()
        with torch.backends.cudnn.flags(enabled=False):
            out = y + torch.nn.Conv2d.forward(conv, y)
            of_y, *of_weights = torch.autograd.grad(out, [y, *conv.parameters()], gradient.float())
        if gelu:
            z = x.detach().float().requires_grad_()
            (of_y,) = torch.autograd.grad(torch.nn.functional.gelu(z), z, of_y)
        return [out.detach(), of_y, *of_weights]

    @pytest.mark.parametrize('gelu', [False, True])
    @pytest.mark.parametrize('mixed', [None, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize('size', SIZES)
    def test_results_and_gradients(self, size, mixed, gelu):
        args = self.inputs(size, mixed or torch.float32)
        found, expected = self.with_gradients(*args, gelu, mixed), self.expected(*args, gelu)
        for a, b, dtype in zip(found, expected, [args[1].dtype] * 2 + [torch.float32] * 2, strict=True):
            assert a.dtype is dtype
            tolerance = 1e-5 if dtype is torch.float32 else torch.finfo(dtype).eps
            if gelu and mixed:  # where the kernel's GELU is rounded the other way, the weights' sums notice
                tolerance = max(tolerance, 1e-3)
            assert (a.double() - b.double()).norm() <= tolerance * b.double().norm()
        assert all(torch.equal(a, b) for a, b in zip(found, self.with_gradients(*args, gelu, mixed), strict=True))

    def test_what_is_not_finite_stays_where_it_is(self):
        conv, x, gradient = self.inputs((2, 48, 32, 32))
        expected = self.with_gradients(conv, x, gradient)
        with torch.no_grad():
            x[1, 5, 9, 7] = gradient[1, 5, 9, 7] = float('nan')
        near = torch.zeros(x.shape, dtype=torch.bool, device='cuda')
        near[1, 5, 8:11, 6:9] = True
        channel = torch.arange(48, device='cuda') == 5
        found = self.with_gradients(conv, x, gradient)
        for a, b, reached in zip(found, expected, (near, near, channel, channel), strict=True):
            assert a[reached].isnan().all() and torch.equal(a[~reached], b[~reached])

    def test_types_are_those_of_pytorch(self):
        conv, x, _ = self.inputs((1, 48, 11, 15))
        for mixed in (None, torch.bfloat16, torch.float16):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                if mixed is None and dtype is not torch.float32:
                    continue
                with torch.autocast('cuda', dtype=mixed or torch.bfloat16, enabled=mixed is not None):
                    wanted = x.to(dtype) + torch.nn.Conv2d.forward(conv, x.to(dtype))
                    assert conv(x.to(dtype)).dtype is wanted.dtype

    def test_an_mlp_keeps_no_more_than_when_it_is_checkpointed(self, monkeypatch):
        """And gives the same gradients."""
        torch.manual_seed(0)
        mlp, x = MLP(48, 8).cuda(), torch.randn(2, 48, 64, 64, device='cuda', requires_grad=True)
        found = []
        for _ in range(2):
            before = torch.cuda.memory_allocated()
            out = mlp(x)
            kept = torch.cuda.memory_allocated() - before
            found.append((kept, out.detach(), *torch.autograd.grad(out.square().sum(), [x, *mlp.parameters()])))
            del out
            monkeypatch.setattr(ResidualDWConv, 'kernels_for', lambda conv, x: None)
        (kept, *found), (checkpointed, *expected) = found
        assert kept <= 1.01 * checkpointed
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)

    def test_what_is_counted_or_compiled_goes_through_operators_of_pytorch(self):
        from mmseg.analysis.flops import count

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = ResidualDWConv(3)

            def forward(self, image, mode):
                return self.conv(image)

        assert count(Layer().cuda(), (8, 8)) == count(Layer(), (8, 8))
        conv, x, _ = self.inputs((1, 48, 11, 15))
        compiled = torch.compile(conv, backend='eager', fullgraph=True)(x)
        torch.testing.assert_close(compiled, conv(x), rtol=1e-3, atol=1e-3)
