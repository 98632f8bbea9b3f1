"""How processes are started: what torchrun is called with."""

import sys

import pytest

from mmseg.cli.processes import torchrun

WORDS = ['train', 'c.py', '8', '--amp']


def command(processes, **environment):
    return ' '.join(torchrun(WORDS, processes, environment) or [])


def test_one_process_has_nobody_to_meet_unless_it_is_to_be_restarted():
    assert torchrun(WORDS, 1, {}) is None
    assert torchrun(WORDS, 1, dict(NNODES='1', MAX_RESTARTS='0')) is None
    assert '--nproc-per-node 1 --max-restarts 2' in command(1, MAX_RESTARTS='2')


def test_processes_of_one_node_take_a_free_port_or_the_one_that_is_named():
    assert command(8).startswith(f'{sys.executable} -m torch.distributed.run --standalone --local-addr 127.0.0.1')
    assert command(8).endswith('__main__.py train c.py 8 --amp --launcher pytorch')
    assert '--master-addr 127.0.0.1 --master-port 1234 --nproc-per-node 8' in command(8, PORT='1234')


def test_several_nodes_meet_at_a_fixed_port():
    several = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='first')
    meet = '--nnodes 2 --node-rank 1 --master-addr first --master-port {} --nproc-per-node {} '
    assert meet.format(29500, 8) in command(8, **several)
    assert meet.format(29501, 1) in command(1, **several, PORT='29501')
    with pytest.raises(ValueError, match='the address of the first'):
        command(8, NNODES='2')
