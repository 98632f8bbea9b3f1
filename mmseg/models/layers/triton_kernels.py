"""Where kernels of our own run: on GPUs for which Triton makes some."""

import logging
import math
from collections.abc import Callable, Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

Kernels = type[torch.autograd.Function]


def plain_on_gpu(x: Tensor) -> bool:
    """Whether this is a GPU's own memory, now: nothing that is traced, compiled, faked or counted."""
    return (
        x.is_cuda
        and type(x) in (Tensor, nn.Parameter)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch._C._len_torch_dispatch_stack()
    )


def kernels_on(device: torch.device, tried: Callable[[torch.device], Kernels], otherwise: str) -> Kernels | None:
    """The kernels that ``tried`` imports and holds against PyTorch's own; None where Triton makes none that are right.

    Triton is not everywhere, and needs a C compiler to launch what it makes. Where it is, and fails, this warns what
    happens ``otherwise``.
    """
    try:
        return tried(device)
    except ModuleNotFoundError:
        return None
    except ArithmeticError as error:
        reason = f'what Triton makes for {device} here is wrong: {error}'
    except Exception as error:
        reason = (
            f'Triton makes no kernels for {device} here ({type(error).__name__}: {error}). It needs a C compiler '
            '(gcc or clang, or the variable CC)'
        )
    print_log(f'{otherwise}, which is slower: {reason}', logger='current', level=logging.WARNING)
    return None


def compare(device: torch.device, fused: Callable, plain: Callable, *sizes: Sequence[int]) -> None:
    """Runs ``fused`` in float32 on the device and ``plain`` in float64 on the CPU, with gradients of all arguments.

    Args:
        sizes: of the arguments, which are numbers in -1..1.

    Raises:
        ArithmeticError: they differ.
    """
    numbers = [torch.arange(math.prod(size), dtype=torch.float64).add(1).mul(2.3).sin().view(size) for size in sizes]
    results = []
    with torch.inference_mode(False), torch.enable_grad():
        for function, place in ((fused, dict(device=device, dtype=torch.float32)), (plain, {})):
            leaves = [x.clone().to(**place).requires_grad_() for x in numbers]
            out = function(*leaves)
            upstream = torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)
            results.append([out, *torch.autograd.grad(out, leaves, upstream)])
    for ours, theirs in zip(*results, strict=True):
        error = float((ours.detach().cpu() - theirs.detach()).norm() / theirs.detach().norm())
        if not error < 1e-4:
            raise ArithmeticError(f"it differs from PyTorch's by {error:.0e}")
