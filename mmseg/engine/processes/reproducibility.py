"""The same bits again: what they depend on beside the config, and how CUDA is made to give them."""

import os

import torch

from .batch_plan import BatchPlan


def prepare_determinism() -> None:
    """What must be settled before CUDA starts, and what only costs time; mmengine sets the rest.

    cuBLAS takes the same way through its sums only with a workspace of fixed size.
    """
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.utils.deterministic.fill_uninitialized_memory = False  # a help in finding reads of it; we do not


def circumstances(
    plan: BatchPlan, compile: bool | dict | None = None, cuda_graphs: bool = False
) -> dict[str, str | int | bool]:
    """What floating-point results depend on beside the model: the division of the batch, the machine, the compiler."""
    return dict(
        processes=plan.processes,
        images=plan.per_step,
        accumulation=plan.accumulation,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        threads=torch.get_num_threads(),
        torch=str(torch.__version__),
        compile=str(compile or False),
        cuda_graphs=cuda_graphs,
    )


def changed_circumstances(before: dict, now: dict) -> str:
    """What differs, in words; nothing for checkpoints that do not say."""
    return ', '.join(f'{key}: {before[key]} -> {now[key]}' for key in now if before.get(key, now[key]) != now[key])
