"""A resumed run: which schedule goes on, whose files are removed, how it ends."""

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmseg.engine import SegRunner, launch
from mmseg.utils.atomic_file import atomic_write, remove_unfinished

from .test_epochs import files, log, schedules
from .test_loops import train
from .toy import toy_config

POLY = dict(type='PolyLR', power=1.0, by_epoch=False)
SGD = dict(type='SGD', lr=0.1, momentum=0.9)


def config(iters=6, schedule=POLY, optimizer=SGD, **changes):
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=3),
        param_scheduler=schedule,
        optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer),
        **changes,
    )


# Schedules


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    """The checkpoint of a run after 3 of 6 iterations."""
    folder = tmp_path_factory.mktemp('start')
    train(folder, **config())
    return folder / 'iter_3.pth'


@pytest.mark.parametrize(
    ('changed', 'said'),
    [
        (config(iters=9), 'schedule 1 end 6 -> 9'),
        (config(iters=4), 'schedule 1 end 6 -> 4'),
        (config(schedule={**POLY, 'power': 0.9}), 'schedule 1 power 1.0 -> 0.9'),
        (config(schedule={**POLY, 'eta_min': 0.01}), 'schedule 1 eta_min 0 -> 0.01'),
        (config(schedule=dict(type='MultiStepLR', milestones=[2, 4], by_epoch=False)), 'schedule 1'),
        (
            config(schedule=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2), {**POLY, 'begin': 2}]),
            '1 schedules -> 2',
        ),
        (config(schedule=None), '1 schedules -> 0'),
        (config(optimizer={**SGD, 'lr': 0.2}), 'lr 0.1 -> 0.2'),
        (
            dict(
                config(), train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=4), param_scheduler=dict(type='PolyLR')
            ),
            'schedule 1 by_epoch False -> True',
        ),
    ],
)
def test_a_changed_schedule_goes_on_as_if_it_had_always_been_there(tmp_path, start, changed, said):
    whole, _ = train(tmp_path / 'whole', **changed)
    resumed, _ = train(tmp_path / 'resumed', resume=str(start), **changed)
    assert schedules(resumed)[3:] == schedules(whole)[3:]
    assert said in log(tmp_path / 'resumed') and 'the config has changed since' in log(tmp_path / 'resumed')


def test_other_settings_of_the_optimizer_are_the_config_s(tmp_path, start):
    resumed, _ = train(tmp_path, resume=str(start), **config(optimizer={**SGD, 'momentum': 0.5}))
    assert resumed.optim_wrapper.param_groups[0]['momentum'] == 0.5
    assert 'momentum 0.9 -> 0.5' in log(tmp_path)


def test_an_unchanged_config_changes_nothing(tmp_path, start):
    train(tmp_path, resume=str(start), **config())
    assert 'the config has changed' not in log(tmp_path)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (config(iters=2), 'after 3 iterations, and train_cfg.max_iters=2 ends after 2: .*load_from'),
        (config(optimizer=dict(type='AdamW', lr=0.1)), 'another optimizer .*no dampening'),
        (config(model=dict(type='ToyModel', norm='BN')), 'does not fit the model'),
        (
            config(schedule=dict(type='ReduceOnPlateauLR', monitor='mIoU', by_epoch=True, convert_to_iter_based=False)),
            'counts epochs',
        ),
        (
            config(iters=12, schedule={**POLY, 'end': 6}),
            'last 6 of 12 iterations .* 0: PolyLR ends at iteration 6.*end=12',
        ),
        (
            config(iters=12, schedule=dict(type='OneCycleLR', eta_max=0.2, by_epoch=False, total_steps=6)),
            'total_steps=6, and this run takes 12 .* set total_steps=12, or end=6',
        ),
    ],
)
def test_what_has_no_meaning_stops_before_the_first_iteration(tmp_path, start, changed, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, resume=str(start), **changed)


@pytest.mark.parametrize(
    ('schedule', 'dies'),
    [
        (dict(type='PolyLR'), False),
        (dict(type='PolyLR', end=2), True),
        (dict(type='PolyLR', end=2, convert_to_iter_based=True), True),
        ([dict(type='LinearLR', start_factor=0.1, end=1), dict(type='LinearLR', end_factor=0.0, begin=1, end=3)], True),
        (dict(type='LinearLR', start_factor=0.1, end=1), False),
        (dict(type='PolyLR', end=2, eta_min=0.01), False),
        (dict(type='CosineAnnealingLR', T_max=1, end=3), False),  # up again when it ends
        (dict(type='MultiStepLR', milestones=[1, 2]), False),
        (dict(type='PolyMomentum', end=2), False),
    ],
)
def test_a_learning_rate_that_dies_early_is_noticed_before_it_is_used(tmp_path, schedule, dies):
    changes = dict(config(schedule=schedule), train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=4))
    with pytest.raises(ValueError, match='would learn nothing') if dies else nullcontext():
        train(tmp_path, **changes)


def test_a_schedule_by_metrics_goes_on_unchanged_or_not_at_all(tmp_path):
    def changes(**plateau):
        schedule = dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater', patience=0, **plateau)
        return dict(train_cfg=dict(by_epoch=True, max_epochs=4), param_scheduler=schedule)

    whole, _ = train(tmp_path / 'a', **changes())
    resumed, _ = train(tmp_path / 'b', resume=str(tmp_path / 'a' / 'epoch_2.pth'), **changes())
    assert schedules(whole) == schedules(resumed) and len(set(schedules(whole))) > 1
    with pytest.raises(ValueError, match='ReduceOnPlateauLR depends on earlier metrics'):
        train(tmp_path / 'c', resume=str(tmp_path / 'a' / 'epoch_2.pth'), **changes(factor=0.5))


def test_a_one_cycle_schedule_survives_its_checkpoint(tmp_path):
    schedule = dict(type='OneCycleLR', eta_max=0.2, by_epoch=False, total_steps=6)
    whole, _ = train(tmp_path / 'a', **config(schedule=schedule))
    resumed, _ = train(tmp_path / 'b', resume=str(tmp_path / 'a' / 'iter_3.pth'), **config(schedule=schedule))
    assert schedules(whole) == schedules(resumed) and 'has changed' not in log(tmp_path / 'b')


# Files


def scripted(scores, **hook):
    hooks = dict(checkpoint=dict(type='CheckpointHook', **{'save_best': 'mIoU', **hook}))
    evaluator = dict(type='ScriptedMetric', scores=scores)
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=1)
    return dict(default_hooks=hooks, val_evaluator=evaluator, train_cfg=train_cfg)


def test_another_run_s_files_stay_and_its_best_score_counts(tmp_path):
    train(tmp_path / 'A', **scripted([5, 6, 4, 3]))
    before = files(tmp_path / 'A')
    runner, _ = train(tmp_path / 'B', resume=str(tmp_path / 'A' / 'iter_2.pth'), **scripted([5, 7], max_keep_ckpts=1))
    assert files(tmp_path / 'A') == before == ['best_mIoU_iter_2.pth', *(f'iter_{i}.pth' for i in (1, 2, 3, 4))]
    assert files(tmp_path / 'B') == ['best_mIoU_iter_4.pth', 'iter_4.pth']
    assert runner.message_hub.get_info('best_score') == 7


def test_an_earlier_run_s_files_in_the_same_folder_stay(tmp_path):
    train(tmp_path / 'A', **scripted([1, 2, 3, 4]))
    train(tmp_path / 'B', **scripted([9, 8, 7, 6]))
    train(tmp_path / 'B', resume=str(tmp_path / 'A' / 'iter_3.pth'), **scripted([5], max_keep_ckpts=1))
    assert {'best_mIoU_iter_1.pth', 'iter_1.pth', 'iter_2.pth', 'iter_3.pth'} < set(files(tmp_path / 'B'))


def test_a_shared_out_dir_is_no_licence(tmp_path):
    out = str(tmp_path / 'out')
    train(tmp_path / 'A', **scripted([5, 6, 4, 3], out_dir=out))
    before = files(tmp_path / 'out')
    again = scripted([7], out_dir=out, max_keep_ckpts=1)
    train(tmp_path / 'B', resume=str(tmp_path / 'out' / 'iter_3.pth'), **again)
    assert files(tmp_path / 'out') == sorted([*before, 'best_mIoU_iter_4.pth'])
    assert (tmp_path / 'B' / 'last_checkpoint').read_text() == str(tmp_path / 'out' / 'iter_4.pth')


@pytest.mark.parametrize('how', ['in place', 'moved', 'linked', 'copied'])
def test_the_same_run_keeps_its_folder_in_order(tmp_path, how):
    train(tmp_path / 'A', **scripted([5, 6, 4, 3]))
    work_dir = tmp_path / 'A' if how == 'in place' else tmp_path / 'B'
    if how == 'moved':
        (tmp_path / 'A').rename(work_dir)
    elif how == 'linked':
        work_dir.symlink_to(tmp_path / 'A')
    elif how == 'copied':
        shutil.copytree(tmp_path / 'A', work_dir)
    resume = str(work_dir / 'iter_3.pth')
    train(work_dir, resume=resume, **scripted([7], max_keep_ckpts=1))
    if how == 'copied':  # for all that is known, another run
        assert len(files(work_dir)) == 6 and len(files(tmp_path / 'A')) == 5
    else:
        assert files(work_dir) == ['best_mIoU_iter_4.pth', 'iter_4.pth']


def test_what_another_process_is_writing_stays(tmp_path):
    program = 'import sys; from mmseg.utils.atomic_file import atomic_write\n'
    program += f'with atomic_write({str(tmp_path / "iter_1.pth")!r}) as file: print(flush=True); sys.stdin.read()'
    (tmp_path / 'thesis.unfinished').write_text('mine')
    with subprocess.Popen([sys.executable, '-c', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        assert remove_unfinished(str(tmp_path)) == []
        writer.kill()
    assert len(remove_unfinished(str(tmp_path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.unfinished']
    with atomic_write(str(tmp_path / 'a')) as file:
        file.write(b'a')
        assert remove_unfinished(str(tmp_path)) == []


# Ends


def stopping(**changes):
    hooks = dict(
        checkpoint=dict(type='CheckpointHook', interval=5, **changes),
        stop=dict(type='EarlyStoppingHook', monitor='mIoU', patience=3),
    )
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=9, val_interval=1)
    evaluator = dict(type='ScriptedMetric', scores=[5, 4, 3, 2, 1])
    return dict(default_hooks=hooks, train_cfg=train_cfg, val_evaluator=evaluator, test_after_train=True)


@pytest.mark.parametrize('save_last', [True, False])
def test_an_early_stop_saves_what_was_reached_and_is_tested(tmp_path, save_last):
    runner = launch.train(Config(toy_config(tmp_path, **stopping(save_last=save_last))))
    assert runner.iter == 4 and files(tmp_path) == ['iter_4.pth'] * save_last
    assert runner.message_hub.get_scalar('test/mIoU').current() == 1
    if save_last:
        again = SegRunner.from_cfg(Config(toy_config(tmp_path, resume='auto', **stopping())))
        again.train()
        assert again.iter == 4 and 'training has ended already' in log_of(again)


def log_of(runner):
    with open(os.path.join(runner.log_dir, f'{runner.timestamp}.log')) as file:
        return file.read()


def test_an_early_stop_counts_on_when_resumed(tmp_path):
    class Stop(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 2:
                raise KeyboardInterrupt

    cfg = stopping()
    cfg['default_hooks']['checkpoint']['interval'] = 1
    runner = SegRunner.from_cfg(Config(toy_config(tmp_path, **cfg)))
    runner.register_hook(Stop(), priority='VERY_HIGH')
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    cfg['val_evaluator']['scores'] = [3, 2, 1, 1, 1, 1]
    again, _ = train(tmp_path, resume='auto', **cfg)
    assert again.iter == 4


def test_a_hook_that_stops_in_an_iteration_ends_with_a_checkpoint(tmp_path):
    class Stop(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            runner.train_loop.stop_training = runner.iter == 4

    for name, train_cfg in dict(
        a=dict(type='IterBasedTrainLoop', max_iters=9), b=dict(type='EpochBasedTrainLoop', max_epochs=4)
    ).items():
        cfg = toy_config(tmp_path / name, train_cfg=train_cfg)
        cfg['default_hooks']['checkpoint'] = dict(type='CheckpointHook', interval=100)
        runner = SegRunner.from_cfg(Config(cfg))
        runner.register_hook(Stop())
        runner.train()
        assert files(tmp_path / name) == ['iter_5.pth']
        assert torch.load(tmp_path / name / 'iter_5.pth', weights_only=True)['meta']['iter'] == 5
