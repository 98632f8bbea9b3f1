"""Processes: how many, on which device, and how they find each other."""

import os
import re
import subprocess
from datetime import timedelta

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import distributed as dist
from torch import nn


def init_process_group(launcher: str, backend: str | None = None, timeout: int | None = None) -> None:
    """Join this process to the others that the launcher started: nccl with CUDA, gloo without.

    Args:
        launcher: 'pytorch' (torchrun) or 'slurm' (srun).
        backend: used where CUDA is present instead of nccl; without CUDA it is always gloo.
        timeout: seconds after which a collective gives up; None keeps torch's default.

    Raises:
        ValueError: another launcher.
        RuntimeError: the launcher's environment variables are missing, or there are fewer GPUs than processes.
    """
    if launcher == 'slurm':
        _environment_from_slurm()
    elif launcher != 'pytorch':
        raise ValueError(f"launcher must be 'none', 'pytorch' or 'slurm', not {launcher!r}")
    missing = [
        name for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ
    ]
    if missing:
        raise RuntimeError(
            f'--launcher pytorch needs {", ".join(missing)} in the environment, which torchrun sets: '
            'start with bash tools/dist_train.sh (or dist_test.sh), or leave --launcher out for one process'
        )
    has_cuda = torch.cuda.is_available()
    if has_cuda:
        _take_gpu(int(os.environ['LOCAL_RANK']))
    options = {} if timeout is None else {'timeout': timedelta(seconds=timeout)}
    if int(os.environ.get('TORCHELASTIC_RESTART_COUNT') or 0) > 0:
        # torchrun (seen with torch 2.15) keeps its store when it starts the processes again, and they would look for
        # each other under the addresses of those that died.
        store, rank, world_size = next(dist.rendezvous('env://', **options))
        store = dist.PrefixStore(f'attempt_{os.environ["TORCHELASTIC_RESTART_COUNT"]}', store)
        options = dict(**options, store=store, rank=rank, world_size=world_size)
    dist.init_process_group((backend or 'nccl') if has_cuda else 'gloo', **options)


def describe_processes() -> str:
    """One line for the log: how many processes, on what, connected how."""
    world = dist.get_world_size() if dist.is_initialized() else 1
    processes = f'{world} process{"es" if world > 1 else ""}'
    where = (
        f'on CUDA ({torch.cuda.get_device_name()})' if torch.cuda.is_available() else 'on the CPU (no CUDA device here)'
    )
    how = f', connected by {dist.get_backend()}' if dist.is_initialized() else ''
    return f'{processes} {where}{how}'


def jobs() -> dict[str, str]:
    """The names under which launchers know this job, in all attempts at it: by ``torchrun`` and ``slurm``."""
    names = dict(torchrun='TORCHELASTIC_RUN_ID', slurm='SLURM_JOB_ID')
    return {launcher: os.environ[name] for launcher, name in names.items() if name in os.environ}


def restarted_jobs() -> dict[str, str]:
    """Those of :func:`jobs` whose launcher has started them again, after a failure or a preemption."""
    counts = dict(torchrun='TORCHELASTIC_RESTART_COUNT', slurm='SLURM_RESTART_COUNT')
    return {launcher: job for launcher, job in jobs().items() if int(os.environ.get(counts[launcher]) or 0) > 0}


def _take_gpu(local_rank: int) -> None:
    gpus = torch.cuda.device_count()
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', local_rank + 1))
    if gpus == 1 and 'SLURM_GPUS_PER_TASK' in os.environ:
        local_rank = 0  # slurm shows each process its own GPU only
    elif gpus < processes:
        raise RuntimeError(
            f'{processes} processes were asked for on this node, but it has {gpus} '
            f'GPU{"s" if gpus > 1 else ""} '
            f'(CUDA_VISIBLE_DEVICES={os.environ.get("CUDA_VISIBLE_DEVICES", "unset")}): ask for {gpus}, '
            f'or hide the GPUs with CUDA_VISIBLE_DEVICES="" to run {processes} processes on the CPU'
        )
    torch.cuda.set_device(local_rank)


def _environment_from_slurm() -> None:
    """Translate srun's variables to torchrun's; a MASTER_ADDR and MASTER_PORT that the user set stay."""
    missing = [
        name for name in ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_NODELIST') if name not in os.environ
    ]
    if missing:
        raise RuntimeError(
            f'--launcher slurm needs {", ".join(missing)} in the environment, which srun sets: '
            'start with bash tools/slurm_train.sh (or slurm_test.sh)'
        )
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['LOCAL_RANK'] = os.environ['SLURM_LOCALID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    per_node = re.match(r'\d+', os.environ.get('SLURM_NTASKS_PER_NODE') or os.environ.get('SLURM_TASKS_PER_NODE', ''))
    if per_node:  # '8' or, for several nodes, '8(x2)'
        os.environ['LOCAL_WORLD_SIZE'] = per_node.group()
    if 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
            capture_output=True,
            text=True,
            check=True,
        )
        os.environ['MASTER_ADDR'] = hosts.stdout.split()[0]
    # Two jobs on one node must not meet, and every process of a job must come to the same port.
    os.environ.setdefault('MASTER_PORT', str(20000 + int(os.environ.get('SLURM_JOB_ID', 9500)) % 20000))


def bare_model(model: nn.Module) -> nn.Module:
    """The model that weights belong to, out of what wraps it for several processes or test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
