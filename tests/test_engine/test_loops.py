import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.structures import PixelData
from torch.utils.data import Sampler

from mmseg.engine import SegRunner
from mmseg.engine.runner.skipped_steps import NonFiniteError, _open
from mmseg.registry import DATA_SAMPLERS
from mmseg.structures import SegDataSample

from .toy import toy_config


class Record(Hook):
    def __init__(self):
        self.batches, self.losses, self.validated = [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batches.append([sample.index for sample in data_batch['data_samples']])
        self.losses.append(float(outputs['loss']))

    def before_val(self, runner):
        self.validated.append(runner.iter)


@DATA_SAMPLERS.register_module()
class Backwards(Sampler):
    def __init__(self, dataset, seed):
        self.indices = range(len(dataset) - 1, -1, -1)

    def __iter__(self):
        return iter(self.indices)

    def __len__(self):
        return len(self.indices)


def train(work_dir, **changes):
    runner = SegRunner.from_cfg(Config(toy_config(work_dir, **changes)))
    record = Record()
    runner.register_hook(record)
    runner.train()
    return runner, record


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def test_accumulated_passes_equal_the_whole_batch(tmp_path):
    whole, seen_whole = train(tmp_path / 'whole')
    parts, seen_parts = train(tmp_path / 'parts', batch_per_gpu=1, optim_wrapper=amended_optimizer())
    assert parts.batch_plan.accumulation == 4
    assert seen_parts.batches == seen_whole.batches and len(seen_whole.batches) == 6
    assert torch.allclose(weights(parts), weights(whole), atol=1e-6)
    assert seen_parts.losses == pytest.approx(seen_whole.losses, abs=1e-6)


def amended_optimizer():
    return dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))


def test_gradients_are_clipped_once_and_schedules_step_once_an_iteration(tmp_path):
    clip = {**amended_optimizer(), 'clip_grad': dict(max_norm=0.01)}
    whole, _ = train(tmp_path / 'whole', optim_wrapper=clip)
    parts, _ = train(tmp_path / 'parts', optim_wrapper=clip, batch_per_gpu=2)
    assert torch.allclose(weights(parts), weights(whole), atol=1e-6)
    rates = parts.message_hub.get_scalar('train/lr').data[0]
    assert rates.tolist() == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02, 0.0])
    assert len(parts.message_hub.get_scalar('train/grad_norm').data[0]) == 6


def test_a_run_shorter_than_its_warm_up_stays_in_the_warm_up(tmp_path):
    schedules = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=9),
        dict(type='PolyLR', by_epoch=False, begin=9),
    ]
    runner, _ = train(tmp_path, param_scheduler=schedules)
    rates = runner.message_hub.get_scalar('train/lr').data[0]
    assert len(runner.param_schedulers) == 1 and rates.tolist() == sorted(rates) and rates[-1] < 0.1


def test_it_validates_at_the_interval_and_at_the_end(tmp_path):
    _, record = train(tmp_path / 'a', train_cfg=dict(type='IterBasedTrainLoop', max_iters=5, val_interval=2))
    assert record.validated == [2, 4, 5]
    _, record = train(tmp_path / 'b', train_cfg=dict(by_epoch=False, max_iters=20, val_begin=17))
    assert record.validated == [18, 20]  # by default every tenth of the run


def test_a_training_set_smaller_than_the_batch_is_repeated(tmp_path):
    loader = {**toy_config(tmp_path)['train_dataloader'], 'dataset': dict(type='ToyDataset', length=3)}
    _, record = train(tmp_path, train_dataloader=loader)
    stream = sum(record.batches, [])
    assert all(sorted(stream[i : i + 3]) == [0, 1, 2] for i in range(0, 24, 3))


def test_a_resumed_run_ends_as_the_whole_run_and_loads_nothing_twice(tmp_path):
    model = dict(type='ToyModel', norm='BN')
    whole, seen_whole = train(tmp_path / 'whole', model=model)
    resumed, seen = train(tmp_path / 'resumed', model=model, resume=str(tmp_path / 'whole' / 'iter_3.pth'))
    assert seen.batches == seen_whole.batches[3:]
    assert sum(seen.batches, []) == resumed.train_dataloader.dataset.loaded  # nothing was decoded to get there
    assert seen.losses == seen_whole.losses[3:]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert str(resumed.optim_wrapper.state_dict()) == str(whole.optim_wrapper.state_dict())
    history = [r.message_hub.get_scalar('train/loss').data[0].tolist() for r in (whole, resumed)]
    assert history[0] == history[1]


# Numbers that go wrong


def broken_loader(tmp_path, index=4):
    loader = toy_config(tmp_path)['train_dataloader']
    return {**loader, 'dataset': dict(type='ToyDataset', length=10, broken=index)}


def test_a_broken_sample_costs_its_steps_and_nothing_else(tmp_path):
    runner, record = train(tmp_path, model=dict(type='ToyModel', norm='BN'), train_dataloader=broken_loader(tmp_path))
    bad = [4 in batch for batch in record.batches]
    assert [loss != loss for loss in record.losses] == bad and 0 < sum(bad) < 6
    assert runner.message_hub.get_info('skipped_steps') == sum(bad)
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())  # running statistics as well
    assert runner.model.backbone[1].num_batches_tracked == 6 - sum(bad)


def test_too_many_in_a_row_end_the_run_with_what_explains_it(tmp_path):
    loader = {**broken_loader(tmp_path), 'dataset': dict(type='ToyDataset', length=1, broken=0)}
    config = dict(train_dataloader=loader, train_cfg=dict(type='IterBasedTrainLoop', max_iters=6, patience=3))
    with pytest.raises(NonFiniteError, match=r'not finite: loss, in 3 iterations in a row.*not_finite_iter_3') as error:
        train(tmp_path / 'a', **config)
    folder = tmp_path / 'a' / 'not_finite_iter_3'
    assert str(folder) in str(error.value)
    (batch,) = torch.load(folder / 'batch_rank_0.pth', weights_only=True)
    assert len(batch['inputs']) == 4 and batch['inputs'][0].isnan().all()
    state = torch.load(folder / 'state.pth', weights_only=True)
    assert 'patience=3' in state['meta']['cfg'] and state['meta']['iter'] == 2 and 'optimizer' in state
    with pytest.raises(NonFiniteError, match='in 4 iterations in a row.*not_finite_iter_3'):
        train(tmp_path / 'again', resume=str(folder / 'state.pth'), **config)  # at the same iteration, at once


def test_what_a_batch_held_is_saved_as_plain_data():
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, 2, 2)), metainfo=dict(img_path='a.png'))
    opened = _open(dict(inputs=[torch.zeros(1)], data_samples=[sample]))['data_samples'][0]
    assert opened['img_path'] == 'a.png' and opened['gt_sem_seg']['data'].sum() == 4


# Random numbers


def test_generators_are_seeded_by_iteration_whatever_happens_between(tmp_path):
    class Draw(Hook):
        def __init__(self, meddle):
            self.meddle, self.drawn = meddle, []

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
            torch.rand(self.meddle)

    drawn = []
    for meddle in (0, 3):
        runner = SegRunner.from_cfg(Config(toy_config(tmp_path / str(meddle))))
        hook = Draw(meddle)
        runner.register_hook(hook)
        runner.train()
        drawn.append(hook.drawn)
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 6


def test_another_number_of_processes_or_threads_is_said_when_resuming(tmp_path):
    train(tmp_path / 'a')
    path = tmp_path / 'a' / 'iter_3.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['meta']['circumstances'].update(processes=2, images=2)
    torch.save(checkpoint, path)
    train(tmp_path / 'b', resume=str(path))
    log = next((tmp_path / 'b').glob('*/*.log')).read_text()
    assert 'processes: 2 -> 1, images: 2 -> 4' in log and 'no longer bit-identical' in log
    train(tmp_path / 'c', resume=str(tmp_path / 'a' / 'iter_6.pth'))
    assert 'bit-identical' not in next((tmp_path / 'c').glob('*/*.log')).read_text()


def test_seeking_works_with_workers_that_prefetch(tmp_path):
    loader = {**toy_config(tmp_path)['train_dataloader'], 'num_workers': 1, 'persistent_workers': True}
    _, seen_whole = train(tmp_path / 'whole', train_dataloader=loader)
    resume = str(tmp_path / 'whole' / 'iter_3.pth')
    _, seen = train(tmp_path / 'resumed', train_dataloader=loader, resume=resume)
    assert seen.batches == seen_whole.batches[3:]


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(optim_wrapper={**amended_optimizer(), 'accumulative_counts': 2}), ValueError, 'global_batch_size'),
        (dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=0)), ValueError, 'max_iters must be .* not 0'),
        (dict(train_cfg=dict(type='IterBasedTrainLoop', max_epochs=1)), TypeError, 'max_epochs'),
    ],
)
def test_what_cannot_work_is_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path, **changes)


@pytest.mark.parametrize('train_cfg', [dict(by_epoch=False, max_iters=2), dict(by_epoch=True, max_epochs=2)])
def test_a_sampler_that_cannot_seek_is_refused(tmp_path, train_cfg):
    loader = {**toy_config(tmp_path)['train_dataloader'], 'sampler': dict(type='Backwards')}
    with pytest.raises(TypeError, match="can seek, not Backwards: .*type='InfiniteSampler'"):
        train(tmp_path, train_dataloader=loader, train_cfg=train_cfg)


def test_evaluation_in_mixed_precision(tmp_path):
    runner = SegRunner.from_cfg(Config(toy_config(tmp_path, test_cfg=dict(type='TestLoop', amp='bfloat16'))))
    outputs = []

    class Keep(Hook):
        def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            dtypes.extend(sample.prediction.dtype for sample in outputs)

    dtypes = outputs
    runner.register_hook(Keep())
    runner.test()
    assert dtypes == [torch.bfloat16] * 5
