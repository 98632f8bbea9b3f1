"""A command in several processes: torchrun with the same command line.

The environment says how: with several nodes NNODES (how many), NODE_RANK (0, 1, ...) and MASTER_ADDR (the first node)
on each; PORT if 29500 is taken there, or for a certain one on a single node; MAX_RESTARTS, how often the processes are
all started again after one has died; training then goes on from its last checkpoint.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mmseg.utils.parallel import available_cpus


def start_processes(words: Sequence[str], processes: int | None, launcher: str) -> None:
    """Become the launcher of these processes, or return if this one is to do the work.

    Args:
        words: the command line.
        processes: how many on this node; None: as if 1.
        launcher: what started this process; processes of a launcher start no others.
    """
    if launcher != 'none' or processes is None:
        return
    command = torchrun(words, processes, os.environ)
    if command is None:
        return
    environment = dict(os.environ)
    if not torch.cuda.is_available():  # the processes do the computing: share the cores among them
        environment.setdefault('OMP_NUM_THREADS', str(max(available_cpus() // processes, 1)))
        environment.setdefault('MKL_NUM_THREADS', environment['OMP_NUM_THREADS'])
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)


def torchrun(words: Sequence[str], processes: int, environment: Mapping[str, str]) -> list[str] | None:
    """The command that starts them; None where one process has nobody to meet.

    Raises:
        ValueError: of several nodes, the first is not named.
    """
    nodes, restarts = environment.get('NNODES') or '1', environment.get('MAX_RESTARTS') or '0'
    port = environment.get('PORT')
    if processes == 1 and int(nodes) == 1 and int(restarts) == 0:
        return None
    address = environment.get('MASTER_ADDR')
    if int(nodes) > 1:
        if not address:
            raise ValueError('MASTER_ADDR is needed with several nodes (NNODES): the address of the first')
        rank = environment.get('NODE_RANK', '0')
        meet = ['--nnodes', nodes, '--node-rank', rank, '--master-addr', address, '--master-port', port or '29500']
    elif port:
        meet = ['--master-addr', address or '127.0.0.1', '--master-port', port]
    else:
        meet = ['--standalone', '--local-addr', '127.0.0.1']  # takes a free port
    launcher = [sys.executable, '-m', 'torch.distributed.run', *meet, '--nproc-per-node', str(processes)]
    program = str(Path(__file__).with_name('__main__.py'))
    return [*launcher, '--max-restarts', restarts, program, *words, '--launcher', 'pytorch']
