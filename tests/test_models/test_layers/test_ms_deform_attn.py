"""That the kernels compile, and what happens where they do not. What both ways compute: test_attention.py and
test_deform_attn_kernels.py."""

import importlib
import sys

import pytest
import torch

from mmseg.models.layers import triton_kernels

LAYER = importlib.import_module('mmseg.models.layers.ms_deform_attn')  # the function has its name
KERNELS = 'mmseg.models.layers.deform_attn_kernels'


@pytest.mark.parametrize('capability, dtype', [(75, 'fp32'), (90, 'bf16')])
@pytest.mark.parametrize('name', ['_forward', '_backward'])
def test_they_compile_for_gpus_that_are_not_here(name, capability, dtype, tmp_path, monkeypatch):
    triton = pytest.importorskip('triton', reason='Triton is not installed: no kernels')
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if tuple(map(int, triton.__version__.split('.')[:2])) < (3, 3):
        pytest.skip('before Triton 3.3 sources are described in another way')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    kernel = getattr(importlib.import_module(KERNELS), name)
    sizes = dict(M=8, D=32, L=3, K=4, QUERIES=16, CHANNELS=32)
    kinds = dict(value=f'*{dtype}', out=f'*{dtype}', of_out=f'*{dtype}', sides='*i64', N='i32', S='i32')
    signature = {x: 'constexpr' if x in sizes else kinds.get(x, '*fp32') for x in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=sizes)
    compiled = triton.compile(source, target=GPUTarget('cuda', capability, 32), options=dict(num_warps=4))
    assert ('atom.global.gpu.relaxed.add' in compiled.asm['ptx']) == (name == '_backward')


class TestWithoutKernels:
    @pytest.fixture
    def fused_on(self):
        yield LAYER._fused_on.__wrapped__
        LAYER._fused_on.cache_clear()

    def test_triton_that_makes_none_is_said_so(self, fused_on, monkeypatch):
        """As where there is no C compiler: here, because it has no kernels for a CPU."""
        said = []
        monkeypatch.setattr(triton_kernels, 'print_log', lambda message, **_: said.append(message))
        assert fused_on(torch.device('cpu')) is None
        assert len(said) == 1 and 'embedding_bag, which is slower' in said[0] and 'C compiler' in said[0]

    def test_where_triton_is_missing_nothing_is_said(self, fused_on, monkeypatch):
        monkeypatch.delitem(sys.modules, KERNELS, raising=False)
        monkeypatch.setitem(sys.modules, 'triton', None)
        monkeypatch.setattr(triton_kernels, 'print_log', None)
        assert fused_on(torch.device('cpu')) is None

    def test_sizes_that_do_not_fit(self):
        shapes = [(2, 3), (5, 4)]
        value, points, weights = torch.ones(1, 26, 2, 4), torch.ones(1, 3, 2, 2, 4, 2), torch.ones(1, 3, 2, 2, 4)
        LAYER._check_sizes(value, shapes, points, weights)
        for args in [
            (value[:, 1:], shapes, points, weights),
            (value, [*shapes, (0, 1)], points, weights),
            (value, shapes, points[:, :2], weights),
            (value, shapes, points, weights[:, :, :1]),
        ]:
            with pytest.raises(ValueError, match='do not go with levels'):
                LAYER._check_sizes(*args)
