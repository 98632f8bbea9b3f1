import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmseg.engine import launch
from mmseg.engine.launch import load_config, train

from .toy import toy_config

ROOT = Path(__file__).resolve().parents[2]


def write_config(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    cfg = toy_config(folder / 'run', custom_imports=dict(imports=['tests.test_engine.toy']), **changes)
    path = folder / 'toy_config.py'
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.items()))
    return path


def run(script, *args, cwd=None, **env):
    environment = {**os.environ, 'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': '', **env}
    for name in ('NNODES', 'PORT', 'MASTER_ADDR', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        environment.pop(name, None)
    command = ['bash', str(ROOT / 'tools' / script), *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


# Configs


def test_a_missing_config_is_named_with_a_similar_one(tmp_path):
    write_config(tmp_path)
    with pytest.raises(FileNotFoundError, match="toy_confg.py' does not exist, did you mean '.*toy_config.py'"):
        load_config(tmp_path / 'toy_confg.py')
    with pytest.raises(FileNotFoundError, match='there is no folder'):
        load_config(tmp_path / 'nowhere' / 'toy_config.py')


def test_options_change_what_is_there_and_a_misspelt_one_is_refused(tmp_path):
    path = write_config(tmp_path)
    cfg = load_config(path, {'train_cfg.max_iters': 2, 'load_from': 'x.pth'})
    assert cfg.train_cfg.max_iters == 2 and cfg.load_from == 'x.pth'
    with pytest.raises(KeyError, match="has no 'train_cgf', did you mean 'train_cfg'"):
        load_config(path, {'train_cgf.max_iters': 2})


def test_the_work_dir_follows_from_flag_config_or_name(tmp_path):
    assert load_config(write_config(tmp_path), work_dir='w').work_dir == 'w'
    assert load_config(write_config(tmp_path)).work_dir == str(tmp_path / 'run')
    path = tmp_path / 'bare.py'
    path.write_text('a = 1')
    assert load_config(path).work_dir == os.path.join('work_dirs', 'bare')


# In this process


def test_train_then_test_the_best_and_test_again_from_its_file(tmp_path):
    cfg = load_config(write_config(tmp_path, test_after_train=True))
    runner = train(cfg, amp='bfloat16', batch_per_gpu=2)
    assert runner.test_loop.evaluator and runner.batch_plan.accumulation == 2
    assert runner.optim_wrapper.dtype is torch.bfloat16
    metrics = launch.test(
        load_config(write_config(tmp_path)), str(tmp_path / 'run' / 'best_mIoU_iter_3.pth'), amp='bfloat16'
    )
    assert metrics == dict(mIoU=1.0, most=1, least=1)


@pytest.mark.parametrize('key', ['resume', 'load_from'])
def test_a_missing_checkpoint_stops_training_at_once(tmp_path, key):
    cfg = load_config(write_config(tmp_path), {key: str(tmp_path / 'iter_9.pth')})
    with pytest.raises(FileNotFoundError, match="iter_9.pth' does not exist: .* has no .pth file"):
        train(cfg)


def test_a_missing_checkpoint_stops_testing_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint '.*nothing.pth' does not exist"):
        launch.test(load_config(write_config(tmp_path)), str(tmp_path / 'nothing.pth'))


# On the command line


def test_two_processes_train_as_one_and_count_each_image_once(tmp_path):
    """From another folder, with spaces in every path, and with gradients accumulated."""
    options = ['--batch-per-gpu', '1', '--work-dir']
    config = write_config(tmp_path / 'a folder')
    train(load_config(config, work_dir=str(tmp_path / 'one')))
    two = tmp_path / 'work dir'
    result = run('dist_train.sh', config.name, 2, *options, two, cwd=config.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'global batch 4 = 2 processes x 1 image x 2 accumulation steps' in result.stdout
    assert '2 processes on the CPU' in result.stdout and 'connected by gloo' in result.stdout
    weights = [torch.load(d / 'iter_6.pth', weights_only=True)['state_dict'] for d in (tmp_path / 'one', two)]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-6), name

    result = run('dist_test.sh', config, two / 'iter_6.pth', 2, '--work-dir', two)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'mIoU: 1.0000  most: 1  least: 1' in result.stdout  # 5 images, 2 processes


def test_wrong_use_of_the_scripts_says_how_to_use_them(tmp_path):
    config = write_config(tmp_path)
    for script, args, message in [
        ('dist_train.sh', [config], 'usage: bash tools/dist_train.sh CONFIG GPUS'),
        ('dist_train.sh', [config, 'all'], "must be 1 or more, not 'all'"),
        ('dist_train.sh', [tmp_path / 'no.py', 1], "no.py' does not exist"),
        ('dist_test.sh', [config, 1], 'usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS'),
        ('dist_test.sh', [config, tmp_path / 'no.pth', 1], "checkpoint '.*no.pth' does not exist"),
        ('slurm_train.sh', ['part', 'job'], 'slurm_train.sh PARTITION JOB_NAME CONFIG'),
        ('slurm_test.sh', ['part', 'job', config], 'slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT'),
    ]:
        result = run(script, *args)
        assert result.returncode == 2, (script, args)
        assert re.search(message, result.stderr), result.stderr


def test_slurm_gets_the_job_as_asked(tmp_path):
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    result = run(
        'slurm_train.sh', 'part', 'job', 'c.py', '--resume', PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='16', SRUN_ARGS='--time 5', PYTHON='py',
    )  # fmt: skip
    assert '-p part --job-name=job --gres=gpu:8 --ntasks=16 --ntasks-per-node=8' in result.stdout
    assert '--time 5 py -u' in result.stdout and result.stdout.rstrip().endswith('c.py --resume --launcher slurm')


def test_a_preempted_slurm_job_asks_for_another_start(tmp_path):
    for name, script in dict(
        srun='echo "$@"; test -e "$0.ran" || { touch "$0.ran"; exit 75; }', scontrol='echo "scontrol $@"'
    ).items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{script}\n')
        (tmp_path / name).chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    job = ['slurm_train.sh', 'part', 'job', 'c.py', '--resume', 'old.pth']
    result = run(*job, PATH=path)  # outside of a batch job
    first, second = [line for line in result.stdout.splitlines() if 'c.py' in line]
    assert result.returncode == 0 and first.endswith('--resume old.pth --launcher slurm')
    assert second.endswith('--resume old.pth --resume --launcher slurm')  # the last one counts
    (tmp_path / 'srun.ran').unlink()
    result = run(*job, PATH=path, SLURM_JOB_ID='7')
    assert result.returncode == 0 and result.stdout.splitlines()[1:] == ['scontrol requeue 7']


def test_another_project_s_package_is_named(tmp_path):
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg' / '__init__.py').write_text('raise AssertionError("MMCV==2.9 is used but incompatible")')
    for tool in ('train.py', 'test.py'):
        result = subprocess.run(
            [sys.executable, str(ROOT / 'tools' / tool), 'config.py', 'checkpoint.pth'],
            env={**os.environ, 'PYTHONPATH': str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode != 0
        assert str(tmp_path / 'mmseg') in result.stderr and 'pip uninstall mmsegmentation' in result.stderr
        assert 'Traceback' not in result.stderr
