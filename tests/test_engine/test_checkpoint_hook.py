import os
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config

from mmseg.engine import SegRunner
from mmseg.engine.hooks import CheckpointHook
from mmseg.registry import METRICS

from .toy import SeenMetric, toy_config


@METRICS.register_module()
class ScriptedMetric(SeenMetric):
    """Returns the scores it was given, one a validation."""

    def __init__(self, scores: list) -> None:
        super().__init__()
        self.scores = list(scores)

    def evaluate(self, size: int) -> dict:
        return dict(mIoU=self.scores.pop(0))


def train(work_dir, scores=(1.0,) * 6, **hook):
    hook = dict(type='CheckpointHook', save_best='mIoU', **hook)
    cfg = toy_config(
        work_dir,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=6, val_interval=1),
        val_evaluator=dict(type='ScriptedMetric', scores=list(scores)),
        default_hooks=dict(checkpoint=hook, logger=dict(type='LoggerHook', interval=100)),
    )
    runner = SegRunner.from_cfg(Config(cfg))
    runner.train()
    return runner


def checkpoints(folder):
    return sorted(p.name for p in folder.iterdir() if p.suffix == '.pth')


def test_it_keeps_the_newest_and_the_best(tmp_path):
    train(tmp_path, scores=[10, 30, float('nan'), 20, 25, 28], max_keep_ckpts=2)
    assert checkpoints(tmp_path) == ['best_mIoU_iter_2.pth', 'iter_5.pth', 'iter_6.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_6.pth')
    assert not [p for p in tmp_path.iterdir() if p.suffix == '.tmp']


def test_less_can_be_better(tmp_path):
    train(tmp_path, scores=[3, 2, 5, 1, 4, 6], rule='less', interval=-1)
    assert checkpoints(tmp_path) == ['best_mIoU_iter_4.pth', 'iter_6.pth']


def test_files_hold_no_pickled_classes_and_the_best_holds_weights_only(tmp_path):
    train(tmp_path)
    checkpoint = torch.load(tmp_path / 'iter_6.pth', weights_only=True)
    assert {'meta', 'state_dict', 'optimizer', 'param_schedulers', 'message_hub'} == set(checkpoint)
    assert checkpoint['meta']['iter'] == 6 and checkpoint['meta']['dataset_meta']['classes'] == ('a', 'b')
    assert 'optimizer' not in torch.load(tmp_path / 'best_mIoU_iter_1.pth', weights_only=True)


def test_a_resumed_run_knows_the_best_score_and_the_files_to_remove(tmp_path):
    train(tmp_path, scores=[10, 30, 20, 20, 20, 20], max_keep_ckpts=2)
    hub = torch.load(tmp_path / 'iter_5.pth', weights_only=True)['message_hub']['runtime_info']
    assert hub['best_score'] == 30 and hub['best_ckpt'].endswith('best_mIoU_iter_2.pth')
    assert hub['keep_ckpt_ids'] == [4, 5]


@pytest.mark.parametrize('failing', ['iter_4', 'best_mIoU_iter_4', 'last_checkpoint'])
def test_a_failing_write_loses_nothing_that_was_there(tmp_path, failing):
    real = os.replace

    def replace(source, target):
        if os.path.basename(target).startswith(failing) and (
            failing != 'last_checkpoint' or (tmp_path / 'iter_4.pth').exists()
        ):
            raise OSError('no space left')
        real(source, target)

    with patch('os.replace', replace), pytest.raises(OSError, match='no space left'):
        train(tmp_path, scores=[1, 2, 3, 4, 5, 6], max_keep_ckpts=1)
    names = checkpoints(tmp_path)
    newest = (tmp_path / 'last_checkpoint').read_text()
    assert os.path.basename(newest) in names
    torch.load(newest, weights_only=True)
    assert 'best_mIoU_iter_3.pth' in names


def test_an_unknown_metric_or_setting_is_refused(tmp_path):
    with pytest.raises(KeyError, match="save_best='IoU' is no metric of this validation: mIoU"):
        hook = CheckpointHook(save_best='IoU')
        hook._folder = str(tmp_path)
        hook.after_val_epoch(None, dict(mIoU=1.0))
    with pytest.raises(ValueError, match="must be 'greater' or 'less', not 'more'"):
        CheckpointHook(rule='more')
    with pytest.raises(ValueError, match='max_keep_ckpts'):
        CheckpointHook(max_keep_ckpts=0)
    with pytest.raises(TypeError, match='intervall'):
        CheckpointHook(intervall=3)
