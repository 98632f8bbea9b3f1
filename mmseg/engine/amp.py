"""Which half precision to compute in."""

import logging

import torch
from mmengine.logging import print_log

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


def amp_dtype(name: str | None = None) -> torch.dtype:
    """The dtype for autocast on this machine's device.

    Args:
        name: 'bfloat16', 'float16', or None: bfloat16 where the device computes in it, float16 elsewhere.

    Raises:
        ValueError: another name, or float16 on the CPU.
    """
    if name is not None and name not in DTYPES:
        raise ValueError(f'the dtype of mixed precision must be one of {", ".join(DTYPES)}, not {name!r}')
    has_cuda = torch.cuda.is_available()
    if name == 'float16' and not has_cuda:
        raise ValueError('mixed precision in float16 needs a CUDA device: on the CPU use bfloat16')
    native_bf16 = not has_cuda or torch.version.hip is not None or torch.cuda.get_device_capability() >= (8, 0)
    if name == 'bfloat16' and not native_bf16:
        print_log(
            f'{torch.cuda.get_device_name()} only emulates bfloat16, which is slow: float16 is faster here',
            logger='current',
            level=logging.WARNING,
        )
    chosen = name or ('bfloat16' if native_bf16 else 'float16')
    on_cpu = f'the CPU, which {"has" if _cpu_has_bfloat16() else "only emulates"} it'
    print_log(f'mixed precision: {chosen} on {"CUDA" if has_cuda else on_cpu}', logger='current')
    return DTYPES[chosen]


def best_dtype() -> torch.dtype | None:
    """The precision in which this machine predicts fastest; None for float32, on CPUs that only emulate the others."""
    if not torch.cuda.is_available() and not _cpu_has_bfloat16():
        print_log('mixed precision: none, since this CPU only emulates bfloat16', logger='current')
        return None
    return amp_dtype()


def _cpu_has_bfloat16() -> bool:
    """Whether Linux names such instructions: x86's AVX-512 and AMX, or Arm's."""
    try:
        with open('/proc/cpuinfo') as file:
            flags = next((line.split(':')[1].split() for line in file if line.startswith(('flags', 'Features'))), ())
    except OSError:
        return False
    return not {'avx512_bf16', 'amx_bf16', 'bf16'}.isdisjoint(flags)


def autocast(dtype: torch.dtype | None) -> torch.autocast:
    """Autocast on this machine's device; None computes in full precision."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return torch.autocast(device, dtype=dtype or torch.bfloat16, enabled=dtype is not None)
