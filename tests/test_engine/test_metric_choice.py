"""Names of metrics are checked before training starts; hooks take mmengine's arguments, or say what to write."""

import mmengine.hooks
import pytest
import torch
from mmengine.config import Config

from mmseg.engine import EarlyStoppingHook, SegRunner
from mmseg.engine.config.own_types import own_hook
from mmseg.engine.hooks import CheckpointHook, LoggerHook
from mmseg.engine.hooks.metric_choice import rule_for
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from .test_checkpoint_hook import train as train_scripted
from .test_epochs import files, log
from .test_loops import train
from .toy import SeenMetric, toy_config


@METRICS.register_module()
class Silent(SeenMetric):
    """Does not say what it measures."""

    def __getattribute__(self, name):
        if name == 'metric_names':
            raise AttributeError(name)
        return super().__getattribute__(name)


def hooks(**checkpoint):
    return dict(checkpoint=dict(type='CheckpointHook', **checkpoint), logger=dict(type='LoggerHook'))


def test_auto_is_the_first_metric_and_a_list_keeps_one_file_each(tmp_path):
    train(tmp_path / 'auto', default_hooks=hooks(save_best='auto', interval=-1))
    assert files(tmp_path / 'auto') == ['best_mIoU_iter_3.pth', 'iter_6.pth']
    runner, _ = train(
        tmp_path / 'list', default_hooks=hooks(save_best=['mIoU', 'least'], rule=['greater', 'less'], interval=-1)
    )
    assert files(tmp_path / 'list') == ['best_least_iter_3.pth', 'best_mIoU_iter_3.pth', 'iter_6.pth']
    assert runner.message_hub.get_info('best_ckpt').endswith('best_mIoU_iter_3.pth')
    later = hooks(save_best=['least', 'mIoU'], rule=['less', 'greater'])
    again, _ = train(tmp_path / 'list', default_hooks=later, resume=str(tmp_path / 'list' / 'iter_6.pth'))
    assert again.message_hub.get_info('best_ckpt').endswith('best_least_iter_3.pth')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(save_best='mIou'), "save_best='mIou' is no metric .* did you mean 'mIoU'. There are mIoU, most, least"),
        (dict(save_best=['mIoU', 'mDice']), "save_best='mDice' is no metric"),
        (dict(save_best='most'), "whether more or less of 'most' is better .*rule='greater' or 'less'"),
        (dict(save_best=['auto', 'mIoU']), "means the metric 'mIoU' twice"),
    ],
)
def test_a_wrong_name_is_refused_before_the_first_iteration(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, default_hooks=hooks(**changes))
    assert 'Iter(train)' not in log(tmp_path)


def test_early_stopping_is_checked_as_well(tmp_path):
    stop = dict(type='EarlyStoppingHook', monitor='mIuO')
    with pytest.raises(ValueError, match="EarlyStoppingHook: monitor='mIuO' is no metric .* did you mean 'mIoU'"):
        train(tmp_path, custom_hooks=[{**stop, 'rule': 'greater'}])
    with pytest.raises(ValueError, match="EarlyStoppingHook: rule='greater' or 'less'"):
        EarlyStoppingHook('speed')
    assert EarlyStoppingHook('val_loss').rule == 'less' and EarlyStoppingHook('mFscore').rule == 'greater'


def test_a_metric_that_does_not_say_its_names_is_checked_at_the_first_validation(tmp_path):
    train(tmp_path / 'a', default_hooks=hooks(save_best='auto', interval=-1), val_evaluator=dict(type='Silent'))
    assert 'best_mIoU_iter_3.pth' in files(tmp_path / 'a') and 'Silent has no metric_names' in log(tmp_path / 'a')
    with pytest.raises(KeyError, match="save_best='mDice' is no metric of this validation: mIoU, most, least"):
        train(tmp_path / 'b', default_hooks=hooks(save_best='mDice'), val_evaluator=dict(type='Silent'))


def test_without_validation_there_is_nothing_to_be_best(tmp_path):
    train(tmp_path, val_dataloader=None, val_cfg=None, val_evaluator=None)
    assert 'save_best has no effect' in log(tmp_path) and files(tmp_path)[-1] == 'iter_6.pth'


@pytest.mark.parametrize('prefix', [None, 'val'])
def test_iou_metric_knows_its_keys(prefix):
    metric = IoUMetric(iou_metrics=['mIoU', 'mFscore', 'mDice'], prefix=prefix, per_class=True)
    metric.dataset_meta = dict(classes=('a', 'traffic light'))
    label = torch.tensor([[0, 1], [1, 1]])
    metric.process({}, [dict(pred_sem_seg=dict(data=label), gt_sem_seg=dict(data=label))])
    assert metric.metric_names == list(metric.evaluate(1))
    assert IoUMetric(format_only=True, output_dir='x').metric_names == []


def test_rules_follow_names():
    assert rule_for('IoU.car', 'rule') == 'greater' and rule_for('decode.loss_ce', 'rule') == 'less'
    assert rule_for('cost', 'rule', less_keys=['cost']) == 'less'
    assert rule_for('loss', 'rule', greater_keys=['loss']) == 'greater'


# mmengine's arguments


@pytest.mark.parametrize('prefix', ['mmengine.', 'mmengine.hooks.'])
def test_mmengine_s_hooks_give_way_to_those_here(tmp_path, prefix):
    given = dict(
        checkpoint=dict(type=f'{prefix}CheckpointHook', save_best='mIoU', rule='greater', interval=2, by_epoch=False),
        logger=dict(type=f'{prefix}LoggerHook', interval=10, log_metric_by_epoch=False),
    )
    cfg = toy_config(
        tmp_path, default_hooks=given, custom_hooks=[dict(type=EarlyStoppingHook.__name__, monitor='mIoU')]
    )
    kinds = [type(hook) for hook in SegRunner.from_cfg(Config(cfg)).hooks]
    assert {CheckpointHook, LoggerHook, EarlyStoppingHook} < set(kinds)
    assert own_hook(dict(type=mmengine.hooks.CheckpointHook))['type'] is CheckpointHook


def test_saving_begins_when_asked_to(tmp_path):
    train_scripted(tmp_path, save_begin=3, interval=2, greater_keys=['miou'], less_keys=['cost'])
    assert [name for name in files(tmp_path) if name.startswith('iter')] == ['iter_3.pth', 'iter_5.pth', 'iter_6.pth']


@pytest.mark.parametrize(
    ('hook', 'arguments', 'message'),
    [
        (CheckpointHook, dict(published_keys=['meta', 'state_dict']), 'lrformer publish'),
        (CheckpointHook, dict(file_client_args=dict(backend='petrel')), 'local folders only.* out_dir'),
        (CheckpointHook, dict(backend_args=dict(backend='local')), 'local folders only.* out_dir'),
        (CheckpointHook, dict(save_begin=-1), 'save_begin must be at least 0'),
        (CheckpointHook, dict(save_best=['mIoU', 'mAcc'], rule=['less', 'less', 'less']), 'one for each'),
        (LoggerHook, dict(file_client_args=dict(backend='petrel')), 'local folders only.* out_dir'),
    ],
)
def test_what_does_not_work_here_says_what_does(hook, arguments, message):
    with pytest.raises(ValueError, match=message):
        hook(**arguments)


def test_logs_are_copied_and_the_rest_of_an_epoch_is_logged_on_request(tmp_path):
    logger = dict(type='LoggerHook', interval=2, out_dir=str(tmp_path / 'logs'), out_suffix=['.log'], ignore_last=False)
    cfg = dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=5), default_hooks=dict(logger=logger))
    runner, _ = train(tmp_path / 'run', **cfg)
    runner.test()
    (copy,) = (tmp_path / 'logs').rglob('*.log')
    assert copy.relative_to(tmp_path / 'logs').parts[0] == 'run'
    steps = [line.split('Iter(train) ')[1][:5] for line in copy.read_text().splitlines() if 'Iter(train) ' in line]
    assert steps == ['[2/5]', '[4/5]', '[5/5]'] and 'Iter(test)' in copy.read_text()


def test_an_argument_that_nobody_knows_is_an_error(tmp_path):
    with pytest.raises(TypeError, match='save_bets'):
        SegRunner.from_cfg(Config(toy_config(tmp_path, default_hooks=hooks(save_bets='mIoU'))))
