"""That the kernels compile, and where they are chosen. What both ways compute: test_mlp.py, test_dwconv_kernels.py."""

import importlib
import sys

import pytest
import torch

from mmseg.models.layers import mlp, triton_kernels

KERNELS = 'mmseg.models.layers.dwconv_kernels'


@pytest.mark.parametrize('capability, dtype', [(80, 'fp32'), (90, 'bf16')])
@pytest.mark.parametrize('name', ['_forward', '_backward'])
def test_they_compile_for_gpus_that_are_not_here(name, capability, dtype, tmp_path, monkeypatch):
    """Forward with one access for four numbers where the channels are a multiple of 16, backward without atomics."""
    triton = pytest.importorskip('triton', reason='Triton is not installed: no kernels')
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if tuple(map(int, triton.__version__.split('.')[:2])) < (3, 3):
        pytest.skip('before Triton 3.3 sources are described in another way')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    module = importlib.import_module(KERNELS)
    kernel = getattr(module, name)
    sizes = {size: getattr(module, size) for size in ('LANES', 'CHANNELS', 'ROWS')}
    kinds = dict.fromkeys(['weight', 'bias', 'sums'], '*fp32') | dict.fromkeys('BHWC', 'i32')
    backward = name == '_backward'
    if backward:
        sizes['GELU'] = True
    signature = {x: 'constexpr' if x in sizes else kinds.get(x, f'*{dtype}') for x in kernel.arg_names}
    whole = {(i,): [['tt.divisibility', 16]] for i, x in enumerate(kernel.arg_names) if x == 'C' or '*' in signature[x]}
    source = ASTSource(fn=kernel, signature=signature, constexprs=sizes, attrs=whole)
    warps = module.WARPS_BACKWARD if backward else module.WARPS
    ptx = triton.compile(source, target=GPUTarget('cuda', capability, 32), options=dict(num_warps=warps)).asm['ptx']
    assert 'atom' not in ptx
    if not backward:
        vector = {'fp32': 'v4.b32', 'bf16': 'v2.b32'}[dtype]
        assert ptx.count(f'st.global.{vector}') == module.ROWS
        assert ptx.count(f'ld.global.{vector}') >= 3 * (module.ROWS + 2)


@pytest.fixture
def kernels_on():
    yield mlp._kernels_on.__wrapped__
    mlp._kernels_on.cache_clear()


def test_triton_that_makes_none_is_said_so(kernels_on, monkeypatch):
    """As where there is no C compiler: here, because it has no kernels for a CPU."""
    pytest.importorskip('triton', reason='Triton is not installed: no kernels')
    said = []
    monkeypatch.setattr(triton_kernels, 'print_log', lambda message, **_: said.append(message))
    assert kernels_on(torch.device('cpu')) is None
    assert len(said) == 1 and 'through cuDNN, which is slower' in said[0] and 'C compiler' in said[0]


@pytest.mark.parametrize('wrong', [1 + 1e-3, float('nan')])
@pytest.mark.parametrize('of', ['result', 'gradient'])
def test_kernels_that_are_wrong_are_not_used(wrong, of, monkeypatch):
    def fused(x, weight):
        return (x if of == 'result' else x.detach() + (x - x.detach()) / wrong) * weight * wrong

    def tried(device):
        triton_kernels.compare(device, lambda x, weight: x * weight, lambda x, weight: x * weight, (2, 3), (3,))
        triton_kernels.compare(device, fused, lambda x, weight: x * weight, (2, 3), (3,))

    said = []
    monkeypatch.setattr(triton_kernels, 'print_log', lambda message, **_: said.append(message))
    assert triton_kernels.kernels_on(torch.device('cpu'), tried, 'it goes another way') is None
    assert len(said) == 1 and 'another way, which is slower: what Triton makes for cpu here is wrong' in said[0]


def test_where_triton_is_missing_nothing_is_said(kernels_on, monkeypatch):
    monkeypatch.delitem(sys.modules, KERNELS, raising=False)
    monkeypatch.setitem(sys.modules, 'triton', None)
    monkeypatch.setattr(triton_kernels, 'print_log', None)
    assert kernels_on(torch.device('cpu')) is None


@pytest.mark.parametrize(
    'of_x, of_weight, mixed, fits',
    [
        ('float32', 'float32', None, True),
        ('bfloat16', 'bfloat16', None, True),
        ('bfloat16', 'float32', 'bfloat16', True),
        ('float32', 'float32', 'bfloat16', True),
        ('float16', 'float32', 'bfloat16', False),  # PyTorch promotes to float32
        ('bfloat16', 'float32', None, False),  # and here says that types differ
        ('float64', 'float64', None, False),
    ],
)
def test_types(of_x, of_weight, mixed, fits):
    conv, x = mlp.ResidualDWConv(2).to(getattr(torch, of_weight)), torch.ones(1, 2, 3, 3, dtype=getattr(torch, of_x))
    with torch.autocast('cpu', dtype=getattr(torch, mixed or 'bfloat16'), enabled=mixed is not None):
        assert conv.fits_kernels(x) == fits


def test_sizes_that_pytorch_refuses_are_left_to_it():
    conv = mlp.ResidualDWConv(2)
    assert not conv.fits_kernels(torch.ones(1, 3, 4, 4)) and not conv.fits_kernels(torch.ones(2, 4, 4))
