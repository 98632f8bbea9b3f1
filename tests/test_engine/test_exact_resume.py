"""Training that is killed again and again ends with the bits of training that is not.

LRFORMER_KILLS=10 kills ten times in each of the four cases, which takes minutes; by default it is less often.
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
KILLS = int(os.environ.get('LRFORMER_KILLS', 3))
TIMES = ('time', 'data_time', 'eta', 'memory')


@pytest.fixture(scope='module')
def trainings():
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, '-m', 'tests.test_engine.forks']
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:

        def train(work_dir, processes=1, workers=0, kill=None):
            order = dict(work_dir=str(work_dir), processes=processes, workers=workers, kill=kill)
            server.stdin.write(json.dumps(order) + '\n')
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield train
        server.stdin.close()


def outcome(work_dir):
    """Everything that must not depend on interruptions, from the last checkpoint and the logs."""
    checkpoint = torch.load(work_dir / 'iter_24.pth', weights_only=True)
    hub = checkpoint['message_hub']
    history = {k: v for k, v in hub['log_scalars'].items() if k.split('/')[-1] not in TIMES}
    best = hub['runtime_info']['best_score'], os.path.basename(hub['runtime_info']['best_ckpt'])
    state = {key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')}
    return dict(**state, history=history, best=best, log=log(work_dir))


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


CASES = [(1, 0), (1, 2), (2, 0), (2, 2)]


@pytest.mark.parametrize(('processes', 'workers'), CASES if KILLS >= 10 else [(1, 2), (2, 0)])
def test_killed_and_resumed_is_as_never_killed(tmp_path, trainings, processes, workers):
    whole = trainings(tmp_path / 'whole', processes, workers)
    assert whole['codes'] == [0] * processes, (tmp_path / 'whole.0.log').read_text()[-4000:]
    rng = random.Random(f'{processes} {workers}')
    moments = ['write', 'validation', 'renamed'][: max(KILLS, 2)]
    moments += [rng.uniform(0, 0.6 * whole['seconds']) for _ in range(KILLS - len(moments))]
    rng.shuffle(moments)
    done = []
    while moments or not done:
        moment = moments.pop(0)
        result = trainings(tmp_path / 'killed', processes, workers, kill=moment)
        assert -9 in result['codes'], (moment, result, (tmp_path / 'killed.0.log').read_text()[-4000:])
        done.append(moment)
    result = trainings(tmp_path / 'killed', processes, workers)
    assert result['codes'] == [0] * processes, (tmp_path / 'killed.0.log').read_text()[-4000:]
    print(f'{processes} processes, {workers} workers: killed at {done}')
    assert_same(outcome(tmp_path / 'whole'), outcome(tmp_path / 'killed'))
