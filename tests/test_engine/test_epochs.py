"""Training by epochs: what differs from training by iterations. The kill tests are those of test_exact_resume.py."""

import os
import signal
from itertools import islice
from unittest.mock import patch

import mmengine.runner
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook

from mmseg.engine import EpochBasedTrainLoop, InfiniteSampler, SegRunner
from mmseg.engine.config.own_types import can_seek, each_image_once, own_loop, seekable
from mmseg.engine.processes.preemption import Interrupted, Preempted, heed_sigterm
from mmseg.engine.runner.skipped_steps import NonFiniteError
from mmseg.engine.samplers import infinite_sampler
from mmseg.registry import DATA_SAMPLERS, LOOPS

from .test_exact_resume import assert_same
from .test_loops import train
from .toy import toy_config

EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=3)


def loader(length=10, **changes):
    return {**toy_config('')['train_dataloader'], 'dataset': dict(type='ToyDataset', length=length), **changes}


def schedules(runner):
    return runner.message_hub.get_scalar('train/lr').data[0].tolist()


def files(folder):
    return sorted(p.name for p in folder.iterdir() if p.suffix == '.pth')


def log(folder):
    return next(folder.glob('*/*.log')).read_text()


def test_an_epoch_has_every_image_once_and_a_rest_is_left_out(tmp_path):
    _, record = train(tmp_path / 'even', train_cfg=EPOCHS, train_dataloader=loader(8))
    epochs = [sum(record.batches[i : i + 2], []) for i in (0, 2, 4)]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs) and len(set(map(tuple, epochs))) == 3
    _, record = train(tmp_path / 'rest', train_cfg=EPOCHS)
    epochs = [sum(record.batches[i : i + 2], []) for i in (0, 2, 4)]
    assert all(len(set(epoch)) == 8 for epoch in epochs) and set(sum(epochs, [])) == set(range(10))
    assert 'one epoch is 2 iterations; 2 of 10 images, in each epoch others' in log(tmp_path / 'rest')


@pytest.mark.parametrize('world', [1, 2, 4])
def test_any_number_of_processes_sees_the_same_batches(world):
    def share(rank, world):
        with patch.object(infinite_sampler, 'get_dist_info', return_value=(rank, world)):
            sampler = InfiniteSampler(range(11), seed=5)
        sampler.epoch_length = 8
        assert len(sampler) == 8 // world
        stream = iter(sampler)
        return [[next(stream) for _ in range(4 // world)] for _ in range(6)]

    batches = [sorted(sum(shares, [])) for shares in zip(*(share(rank, world) for rank in range(world)), strict=True)]
    assert batches == [sorted(batch) for batch in share(0, 1)]


@pytest.mark.parametrize(
    ('loop', 'sampler'),
    [
        (dict(by_epoch=True), dict(type='DefaultSampler', shuffle=True)),
        (dict(type='mmengine.EpochBasedTrainLoop'), dict(type='mmengine.DefaultSampler', round_up=True)),
        (dict(type='mmengine.runner.EpochBasedTrainLoop'), dict(type='mmengine.dataset.InfiniteSampler')),
    ],
)
def test_however_loop_and_sampler_are_named(tmp_path, loop, sampler):
    _, expected = train(tmp_path / 'own', train_cfg=EPOCHS)
    runner, record = train(
        tmp_path / 'other', train_cfg=dict(max_epochs=3, **loop), train_dataloader=loader(sampler=sampler)
    )
    assert type(runner.train_loop) is EpochBasedTrainLoop
    assert record.batches == expected.batches and record.validated == [2, 4, 6]


def test_a_class_is_as_good_as_its_name():
    assert own_loop(dict(type=mmengine.runner.EpochBasedTrainLoop), EpochBasedTrainLoop)['type'] is EpochBasedTrainLoop
    for kind in (DefaultSampler, 'DefaultSampler', 'mmengine.DefaultSampler', 'mmengine.dataset.DefaultSampler'):
        loader = dict(sampler=dict(type=kind, shuffle=False))
        assert seekable(loader)['sampler'] == dict(type=InfiniteSampler, shuffle=False)
        assert each_image_once(loader)['sampler'] == dict(type=kind, shuffle=False, round_up=False)
    for kind in (InfiniteSampler, 'InfiniteSampler', 'Ending'):
        assert can_seek(dict(type=kind)) and each_image_once(dict(sampler=dict(type=kind))) == dict(
            sampler=dict(type=kind)
        )


@DATA_SAMPLERS.register_module()
class Ending(InfiniteSampler):
    """Comes to an end after the first batch."""

    def __iter__(self):
        return islice(super().__iter__(), 4)


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(train_dataloader=loader(3)), ValueError, '3 images, which is less than one global batch of 4'),
        (dict(train_dataloader=loader(0)), ValueError, 'is empty: there is nothing to train on'),
        (dict(train_cfg={**EPOCHS, 'max_epochs': 1.5}), ValueError, 'max_epochs must be a whole number .* not 1.5'),
        (dict(train_cfg={**EPOCHS, 'val_interval': 0}), ValueError, 'val_interval must be .* not 0'),
        (dict(train_cfg={**EPOCHS, 'max_iters': 4}), TypeError, 'max_iters'),
        (
            dict(train_dataloader=loader(sampler=dict(type='Ending'))),
            RuntimeError,
            'Ending came to its end after 1 of 6 iterations',
        ),
        (
            dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=6), param_scheduler=dict(type='PolyLR')),
            ValueError,
            'PolyLR counts epochs .* IterBasedTrainLoop has none: write by_epoch=False',
        ),
        (
            dict(
                train_cfg=dict(type='IterBasedTrainLoop', max_iters=6),
                default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=True)),
            ),
            ValueError,
            'by_epoch=True, but IterBasedTrainLoop counts iterations',
        ),
    ],
)
def test_what_would_never_end_or_never_do_anything_is_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path, **{'train_cfg': EPOCHS, **changes})


@LOOPS.register_module()
class Mine(mmengine.runner.EpochBasedTrainLoop):
    """A loop that somebody has written."""


def test_somebody_s_endless_epoch_is_refused(tmp_path):
    with pytest.raises(ValueError, match='Mine never ends with InfiniteSampler'):
        train(tmp_path, train_cfg=dict(type='Mine', max_epochs=1), param_scheduler=None)


def test_schedules_count_epochs_or_iterations(tmp_path):
    by_epoch, _ = train(tmp_path / 'a', train_cfg=EPOCHS, param_scheduler=dict(type='PolyLR', power=1.0))
    assert schedules(by_epoch) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0, 0])
    converted = dict(type='PolyLR', power=1.0, convert_to_iter_based=True)
    by_iter = dict(type='PolyLR', power=1.0, by_epoch=False)
    rates = [
        schedules(train(tmp_path / name, train_cfg=train_cfg, param_scheduler=[schedule], batch_per_gpu=2)[0])
        for name, train_cfg, schedule in [
            ('b', EPOCHS, by_iter),
            ('c', EPOCHS, converted),
            ('d', dict(type='IterBasedTrainLoop', max_iters=6), converted),
        ]
    ]
    assert rates[0] == rates[1] == rates[2] == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02, 0])
    late = [dict(type='LinearLR', start_factor=0.1, end=2), dict(type='PolyLR', begin=3)]
    short, _ = train(tmp_path / 'e', train_cfg=EPOCHS, param_scheduler=late)
    assert len(short.param_schedulers) == 1 and 'PolyLR begins at epoch 3' in log(tmp_path / 'e')


def test_checkpoints_and_log_count_epochs(tmp_path):
    hooks = dict(
        logger=dict(type='LoggerHook', interval=1),
        checkpoint=dict(type='CheckpointHook', save_best='mIoU', max_keep_ckpts=1),
    )
    train(tmp_path, train_cfg=EPOCHS, default_hooks=hooks, batch_per_gpu=2, log_processor=dict())
    assert files(tmp_path) == ['best_mIoU_epoch_1.pth', 'epoch_3.pth']
    assert 'Epoch(train) [2][2/2]' in log(tmp_path) and 'Epoch(val) [3][3/3]' in log(tmp_path)
    meta = torch.load(tmp_path / 'epoch_3.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter'], meta['metric']['mIoU']) == (3, 6, 1)


EXACTING = dict(
    train_cfg={**EPOCHS, 'max_epochs': 4, 'val_interval': 2},
    model=dict(type='ToyModel', norm='BN', dropout=0.3),
    param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=2), dict(type='PolyLR', by_epoch=False, begin=4)],
)


def states(folder):
    checkpoint = torch.load((folder / 'last_checkpoint').read_text(), weights_only=True)
    parts = {key: checkpoint[key] for key in ('state_dict', 'optimizer', 'param_schedulers')}
    return parts, {key: checkpoint['message_hub']['log_scalars'][f'train/{key}'] for key in ('loss', 'lr')}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1))
    return folder, train(folder, default_hooks=hooks, **EXACTING)[1]


@pytest.mark.parametrize('iteration', [3, 4, 7, 8])
def test_a_run_resumed_in_or_at_the_end_of_an_epoch_ends_as_the_whole_one(tmp_path, whole, iteration):
    folder, seen_whole = whole
    checkpoint = torch.load(folder / f'iter_{iteration}.pth', weights_only=True)
    _, seen = train(tmp_path, resume=str(folder / f'iter_{iteration}.pth'), **EXACTING)
    assert checkpoint['meta']['iter'] == iteration and seen.batches == seen_whole.batches[iteration:]
    assert_same(states(folder), states(tmp_path))
    assert 'bit-identical' not in log(tmp_path)


class Leave(Hook):
    def __init__(self, number):
        self.number = number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 4:
            for _ in range(2):  # torchrun hands on what the terminal has sent already
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(('number', 'leave'), [(signal.SIGTERM, Preempted), (signal.SIGINT, Interrupted)])
def test_a_signal_saves_the_middle_of_an_epoch(tmp_path, whole, number, leave):
    runner = SegRunner.from_cfg(Config(toy_config(tmp_path, **EXACTING)))
    runner.register_hook(Leave(number))
    with heed_sigterm(), pytest.raises(leave):
        runner.train()
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_5.pth')
    train(tmp_path, resume='auto', **EXACTING)
    assert_same(states(whole[0]), states(tmp_path))


@LOOPS.register_module()
class OfOthers(mmengine.runner.EpochBasedTrainLoop):
    """Derived from mmengine's loop."""


def test_hooks_count_epochs_in_a_loop_of_others(tmp_path):
    loader = dict(batch_size=4, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(type='ToyDataset'))
    train_cfg = dict(type='OfOthers', max_epochs=2)
    train(tmp_path, train_cfg=train_cfg, train_dataloader=loader, param_scheduler=dict(type='PolyLR'))
    assert files(tmp_path) == ['best_mIoU_epoch_1.pth', 'epoch_1.pth', 'epoch_2.pth']
    del loader['sampler']
    with pytest.raises(ValueError, match='states no sampler: write'):
        train(tmp_path, train_cfg=train_cfg, train_dataloader=loader, param_scheduler=dict(type='PolyLR'))


def test_numbers_that_go_wrong_end_the_run(tmp_path):
    broken = {**loader(), 'dataset': dict(type='ToyDataset', length=4, broken=0)}
    with pytest.raises(NonFiniteError, match='in 2 iterations in a row'):
        train(tmp_path, train_cfg={**EPOCHS, 'patience': 2}, train_dataloader=broken)


def test_with_another_batch_epochs_go_on_where_they_were(tmp_path):
    train(tmp_path / 'a', train_cfg=EPOCHS)
    half = {**loader(), 'global_batch_size': 2}
    runner, record = train(
        tmp_path / 'b', train_cfg=EPOCHS, train_dataloader=half, resume=str(tmp_path / 'a' / 'epoch_2.pth')
    )
    assert len(record.batches) == 5 and (runner.epoch, runner.iter) == (3, 15)
    assert len(set(sum(record.batches, []))) == 10 and 'had 2 iterations' in log(tmp_path / 'b')


@pytest.mark.parametrize(
    ('name', 'epoch', 'iteration', 'reached'),
    [
        ('epoch_2.pth', 2, 6, (2, 4)),  # mmengine counts the batch that is not full
        ('epoch_2.pth', 2, 4, (2, 4)),
        ('iter_3.pth', 1, 3, (1, 3)),
        ('iter_5.pth', 0, 5, (2, 5)),  # by iterations
    ],
)
def test_mmengine_s_checkpoints_do_not_say_how_long_an_epoch_is(tmp_path, name, epoch, iteration, reached):
    loop = SegRunner.from_cfg(Config(toy_config(tmp_path, train_cfg=EPOCHS))).train_loop
    loop.enter(dict(epoch=epoch, iter=iteration), f'folder/{name}')
    assert (loop.epoch, loop.iter) == reached


def test_from_iterations_to_epochs_and_back(tmp_path):
    train(tmp_path / 'a', train_cfg=dict(type='IterBasedTrainLoop', max_iters=6, val_interval=3))
    runner, record = train(tmp_path / 'b', train_cfg=EPOCHS, resume=str(tmp_path / 'a' / 'iter_3.pth'))
    assert (runner.epoch, runner.iter, len(record.batches)) == (3, 6, 3)
    again = dict(type='IterBasedTrainLoop', max_iters=8)
    runner, record = train(tmp_path / 'c', train_cfg=again, resume=str(tmp_path / 'b' / 'epoch_2.pth'))
    assert (runner.iter, len(record.batches)) == (8, 4)
