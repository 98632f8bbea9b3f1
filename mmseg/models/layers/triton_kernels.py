"""Where kernels of our own run: on GPUs for which Triton makes some."""

import logging
from collections.abc import Callable

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
    """The kernels that ``tried`` imports and runs once; None where Triton makes none.

    Triton is not everywhere, and needs a C compiler to launch what it makes. Where it is, and fails, this warns what
    happens ``otherwise``.
    """
    try:
        return tried(device)
    except ModuleNotFoundError:
        return None
    except Exception as error:
        print_log(
            f'{otherwise}, which is slower: Triton makes no kernels for {device} here '
            f'({type(error).__name__}: {error}). It needs a C compiler (gcc or clang, or the variable CC)',
            logger='current',
            level=logging.WARNING,
        )
        return None
