import importlib.util
import os
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmseg.engine import SegRunner
from mmseg.engine.processes.group import _environment_from_slurm, _take_gpu, init_process_group

from .toy import ToyModel, toy_config


def build(work_dir, **changes):
    return SegRunner.from_cfg(Config(toy_config(work_dir, **changes)))


def test_sync_bn_becomes_bn_in_one_process_or_on_the_cpu(tmp_path):
    model = build(tmp_path, model=dict(type='ToyModel', norm='SyncBN')).model
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())
    assert isinstance(model, ToyModel)  # one process needs no wrapper


def test_the_data_root_moves_all_datasets(tmp_path):
    runner = build(tmp_path, data_root='/elsewhere')
    runner.train()
    runner.test()
    for loader in (runner.train_dataloader, runner.val_dataloader, runner.test_dataloader):
        assert loader.dataset.data_root == '/elsewhere'
    assert not runner.test_dataloader.sampler.round_up  # no image twice


def test_two_ways_to_state_the_batch_are_refused_at_once(tmp_path):
    loader = {**toy_config(tmp_path)['train_dataloader'], 'batch_size': 2}
    with pytest.raises(ValueError, match='either global_batch_size'):
        build(tmp_path, train_dataloader=loader)


def test_persistent_workers_without_workers_are_no_error(tmp_path):
    loader = {**toy_config(tmp_path)['val_dataloader'], 'persistent_workers': True}
    assert build(tmp_path, test_dataloader=loader).test()['mIoU'] == 1


def test_none_leaves_any_hook_out(tmp_path):
    hooks = {**toy_config(tmp_path)['default_hooks'], 'progress': None, 'report': None, 'timer': None}
    kinds = {type(hook).__name__ for hook in build(tmp_path, default_hooks=hooks).hooks}
    assert 'CheckpointHook' in kinds and not kinds & {'EvalProgressHook', 'TrainingReportHook', 'IterTimerHook'}


def test_weights_load_strictly(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(ToyModel(norm='BN').state_dict(), path)
    with pytest.raises(ValueError, match='other.pth does not fit the model'):
        build(tmp_path, load_from=str(path)).test()


def test_weights_without_training_state_cannot_be_resumed(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=ToyModel().state_dict()), path)
    with pytest.raises(ValueError, match='no meta, message_hub, optimizer, param_schedulers.*load_from instead'):
        build(tmp_path, resume=str(path)).train()


def test_resume_auto_takes_the_newest_or_starts_anew_from_load_from(tmp_path):
    start = tmp_path / 'start.pth'
    torch.save(ToyModel().state_dict(), start)
    first = build(tmp_path / 'run', resume='auto', load_from=str(start))
    first.load_or_resume()
    assert first.iter == 0
    assert torch.equal(first.model.decode_head.weight.cpu(), torch.load(start)['decode_head.weight'])
    build(tmp_path / 'run').train()
    again = build(tmp_path / 'run', resume='auto', load_from=str(start), train_cfg=dict(by_epoch=False, max_iters=7))
    again.train()
    assert again.iter == 7 and again.message_hub.get_scalar('train/loss').data[0].size == 7


def test_a_torn_checkpoint_costs_only_the_way_from_the_one_before(tmp_path):
    whole = build(tmp_path / 'whole')
    whole.train()
    build(tmp_path / 'torn').train()
    path = tmp_path / 'torn' / 'iter_6.pth'
    path.write_bytes(path.read_bytes()[:-1000])
    again = build(tmp_path / 'torn', resume='auto')
    with patch.object(SegRunner, 'resume', autospec=True, side_effect=SegRunner.resume) as resume:
        again.train()
    assert resume.call_args.args[1] == str(tmp_path / 'torn' / 'iter_3.pth')
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_tensorboard_is_imported_only_when_asked_for(tmp_path):
    visualizer = dict(type='Visualizer', name='tb', vis_backends=[dict(type='LocalVisBackend')])
    real = importlib.util.find_spec
    with patch('importlib.util.find_spec', lambda name, *args: None if name == 'tensorboard' else real(name, *args)):
        assert build(tmp_path, visualizer=visualizer)
        with pytest.raises(ModuleNotFoundError, match='pip install tensorboard'):
            build(tmp_path, visualizer=visualizer, tensorboard=True)


# Processes


def test_too_few_gpus_are_named_with_the_way_out(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    with (
        patch('torch.cuda.device_count', return_value=2),
        pytest.raises(RuntimeError, match='4 processes were asked for.*has 2 GPUs.*ask for 2'),
    ):
        _take_gpu(local_rank=0)


def test_each_process_takes_its_gpu(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    with patch('torch.cuda.device_count', return_value=2), patch('torch.cuda.set_device') as set_device:
        _take_gpu(local_rank=1)
        set_device.assert_called_once_with(1)
    monkeypatch.setenv('SLURM_GPUS_PER_TASK', '1')
    with patch('torch.cuda.device_count', return_value=1), patch('torch.cuda.set_device') as set_device:
        _take_gpu(local_rank=1)
        set_device.assert_called_once_with(0)


def test_slurm_s_environment_is_translated(monkeypatch):
    for name, value in dict(
        PROCID=9, LOCALID=1, NTASKS=16, NODELIST='n[1-2]', TASKS_PER_NODE='8(x2)', JOB_ID=7
    ).items():
        monkeypatch.setenv(f'SLURM_{name}', str(value))
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_PORT'):
        monkeypatch.setenv(name, 'old')
        monkeypatch.delenv(name)  # so that what is set below is taken back after the test
    monkeypatch.setenv('MASTER_ADDR', 'n1')
    _environment_from_slurm()
    assert [os.environ[n] for n in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE')] == ['9', '1', '16', '8']
    assert os.environ['MASTER_PORT'] == '20007'


def test_a_launcher_that_did_not_launch_is_named(monkeypatch):
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match='RANK, LOCAL_RANK.*dist_train.sh'):
        init_process_group('pytorch')
    with pytest.raises(RuntimeError, match='SLURM_PROCID.*slurm_train.sh'):
        init_process_group('slurm')
    with pytest.raises(ValueError, match="not 'mpi'"):
        init_process_group('mpi')
