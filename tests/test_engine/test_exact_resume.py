"""Training that is killed again and again ends with the bits of training that is not.

LRFORMER_KILLS=10 kills ten times in each of the eight cases, which takes minutes; by default it is less often.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get('LRFORMER_KILLS', 4))
ITERS = 24 if KILLS < 10 else 72
TIMES = ('time', 'data_time', 'eta', 'memory')


@pytest.fixture(scope='module')
def trainings():
    """A function that trains, and expects an exit code."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, '-m', 'tests.test_engine.forks']
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:

        def train(work_dir, processes=1, workers=0, by_epoch=False, kill=None, code=0, broken=None):
            order = dict(processes=processes, workers=workers, by_epoch=by_epoch, kill=kill, broken=broken, iters=ITERS)
            server.stdin.write(json.dumps({**order, 'work_dir': str(work_dir)}) + '\n')
            server.stdin.flush()
            codes = json.loads(server.stdout.readline())
            assert code in codes, (order, codes, work_dir.with_suffix('.0.log').read_text()[-4000:])
            assert set(codes) == {code} or code == -9, (order, codes)

        yield train
        server.stdin.close()


@pytest.fixture(scope='module')
def whole_run(trainings, tmp_path_factory):
    """A function that returns the folder of an uninterrupted run."""
    done = {}

    def get(*case):
        if case not in done:
            done[case] = tmp_path_factory.mktemp('whole') / 'run'
            trainings(done[case], *case)
        return done[case]

    return get


def outcome(work_dir):
    """Everything that must not depend on interruptions, from the last checkpoint and the logs."""
    checkpoint = torch.load((work_dir / 'last_checkpoint').read_text(), weights_only=True)
    hub = checkpoint['message_hub']
    assert checkpoint['meta']['iter'] == ITERS
    history = {k: v for k, v in hub['log_scalars'].items() if k.split('/')[-1] not in TIMES}
    best = hub['runtime_info']['best_score'], os.path.basename(hub['runtime_info']['best_ckpt'])
    state = {key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')}
    skipped = hub['runtime_info'].get('skipped_steps')
    return dict(**state, history=history, best=best, skipped_steps=skipped, log=log(work_dir))


def log(work_dir):
    """Step -> logged values. What several attempts logged about the same step must agree."""
    lines = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for text in file.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # it was being written
            line = {k: v for k, v in line.items() if k not in TIMES}
            assert lines.setdefault((line['step'], 'mIoU' in line), line) == line
    return lines


def assert_same(one, other, where='outcome'):
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f'{where}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f'{where}[{i}]')
    else:
        assert one == other, where


CASES = [(processes, workers, by_epoch) for processes in (1, 2) for workers in (0, 2) for by_epoch in (False, True)]
SHORT = [(1, 2, False), (2, 0, False), (1, 0, True), (2, 2, True)]


@pytest.mark.parametrize(('processes', 'workers', 'by_epoch'), CASES if KILLS >= 10 else SHORT)
def test_killed_and_resumed_is_as_never_killed(tmp_path, trainings, whole_run, processes, workers, by_epoch):
    case = processes, workers, by_epoch
    rng = random.Random(f'{processes} {workers}')
    kills = KILLS if KILLS >= 10 or not by_epoch else KILLS // 2
    moments = ['write', 'validation', 'renamed'][: max(kills, 2)]
    moments += [(rng.randint(1, 4), rng.uniform(0, 0.1)) for _ in range(kills - len(moments))]
    rng.shuffle(moments)
    for moment in moments:
        trainings(tmp_path / 'killed', *case, kill=moment, code=-9)
    trainings(tmp_path / 'killed', *case)
    print(f'{case}: killed at {moments}')
    assert_same(outcome(whole_run(*case)), outcome(tmp_path / 'killed'))


def test_four_processes_sum_in_the_same_order_after_a_restart(tmp_path, trainings, whole_run):
    trainings(tmp_path / 'killed', processes=4, kill='validation', code=-9)
    trainings(tmp_path / 'killed', processes=4)
    assert_same(outcome(whole_run(4, 0, False)), outcome(tmp_path / 'killed'))


def test_augmentation_does_not_depend_on_workers(whole_run):
    assert_same(outcome(whole_run(1, 0, False)), outcome(whole_run(1, 2, False)))


def test_sigterm_saves_and_asks_for_another_start(tmp_path, trainings, whole_run):
    """In an iteration; in a validation, which ends first if its iteration is not on the disk, otherwise not."""
    work_dir = tmp_path / 'left'
    messages = ['after iteration 2', 'after iteration 8', 'after iteration 16', 'while validating iteration 24']
    for kill, message in zip(['sigterm'] + ['sigterm in validation'] * 3, messages, strict=True):
        trainings(work_dir, processes=2, kill=kill, code=75)
        assert f'asked to leave by SIGTERM {message}' in (tmp_path / 'left.0.log').read_text()
        assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / f'iter_{message.split()[-1]}.pth')
    trainings(work_dir, processes=2)
    assert_same(outcome(whole_run(2, 0, False)), outcome(work_dir))


def test_processes_leave_out_the_same_steps(tmp_path, trainings):
    """Whichever of them the broken sample came to; and a resumed run goes on counting."""
    trainings(tmp_path / 'killed', processes=2, broken=4, kill='validation', code=-9)
    trainings(tmp_path / 'killed', processes=2, broken=4)
    trainings(tmp_path / 'one', processes=1, broken=4)
    skipped = [outcome(tmp_path / name)['skipped_steps'] for name in ('killed', 'one')]
    assert skipped[0] == skipped[1] > 3
