"""Jobs of several processes, one of which dies, as the scripts start them."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmseg.engine import SegRunner
from mmseg.engine.processes.group import jobs, restarted_jobs

from .test_exact_resume import assert_same
from .test_launch import run, write_config
from .toy import toy_config


def with_fate(folder, how, rank=1, **changes):
    return write_config(folder, custom_hooks=[dict(type='Fate', how=how, iteration=4, rank=rank)], **changes)


def test_a_failing_process_ends_the_job_and_its_traceback_comes_first(tmp_path):
    result = run('dist_train.sh', with_fate(tmp_path, 'raise'), 2)
    assert result.returncode != 0
    first = result.stderr.index('Traceback')
    assert result.stderr[:first].rstrip().endswith('process 1 of 2 failed, which ends the whole job:')
    assert re.search(r'\w+Error: .*', result.stderr[first:]).group() == 'ArithmeticError: the toy is broken'
    assert 'process 0 of 2 lost its connection to another that ended' in result.stderr
    cause = result.stderr[result.stderr.index('Root Cause') :]
    assert 'rank      : 1' in cause and 'ArithmeticError: the toy is broken' in cause


def test_a_killed_process_brings_the_job_back_to_the_same_end(tmp_path):
    result = run('dist_train.sh', with_fate(tmp_path / 'killed', 'SIGKILL'), 2, MAX_RESTARTS='1')
    assert result.returncode == 0, result.stderr
    assert re.search(r'resumed from .*iter_3.pth', result.stdout)
    whole = run('dist_train.sh', write_config(tmp_path / 'whole'), 2)
    assert whole.returncode == 0, whole.stderr
    parts = 'state_dict', 'optimizer', 'param_schedulers'
    states = [torch.load(tmp_path / name / 'run' / 'iter_6.pth', weights_only=True) for name in ('killed', 'whole')]
    assert_same(*({part: state[part] for part in parts} for state in states))
    assert_same(*(state['message_hub']['log_scalars']['train/loss'] for state in states))


@pytest.fixture
def restarted(monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'a')
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    monkeypatch.delenv('SLURM_JOB_ID', raising=False)


class FirstIteration(Hook):
    def before_train(self, runner):
        self.iteration = runner.iter


def test_a_restarted_job_takes_its_own_checkpoint_and_no_older_one(tmp_path, monkeypatch, restarted):
    def begin(job, count):
        monkeypatch.setenv('TORCHELASTIC_RUN_ID', job)
        monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', count)
        runner, hook = SegRunner.from_cfg(Config(toy_config(tmp_path))), FirstIteration()
        runner.register_hook(hook)
        runner.train()
        return hook.iteration

    assert [begin('a', '0'), begin('a', '1'), begin('b', '1'), begin('b', '2'), begin('b', '0')] == [0, 6, 0, 6, 0]


def test_jobs_are_known_by_their_launchers_names(monkeypatch, restarted):
    monkeypatch.setenv('SLURM_JOB_ID', '7')
    assert jobs() == dict(torchrun='a', slurm='7') and restarted_jobs() == dict(torchrun='a')
    monkeypatch.setenv('SLURM_RESTART_COUNT', '2')
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '0')
    assert restarted_jobs() == dict(slurm='7')
