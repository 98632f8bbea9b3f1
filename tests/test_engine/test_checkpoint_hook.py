import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config

from mmseg.engine import SegRunner
from mmseg.engine.hooks import CheckpointHook

from .toy import toy_config

try:
    import resource
except ImportError:  # Windows
    resource = None

ROOT = Path(__file__).parents[2]


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
    assert not [p for p in tmp_path.iterdir() if p.suffix == '.unfinished']


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
    assert hub['kept_ckpts'] == ['iter_4.pth', 'iter_5.pth']


@pytest.mark.parametrize(
    ('failing', 'left'),
    [
        ('iter_4', ['best_mIoU_iter_4.pth', 'iter_6.pth']),
        ('best_mIoU_iter_4', ['best_mIoU_iter_3.pth', 'iter_6.pth']),
        ('last_checkpoint', ['best_mIoU_iter_4.pth', 'iter_2.pth', 'iter_4.pth', 'iter_6.pth']),
    ],
)
def test_a_failing_write_loses_nothing_and_training_goes_on(tmp_path, failing, left):
    real, logged, there = os.replace, [], []

    def replace(source, target):
        name = os.path.basename(target)
        if name.startswith(failing) and (name != 'last_checkpoint' or (tmp_path / 'iter_4.pth').exists()):
            there.append(checkpoints(tmp_path))
            raise OSError('no space left')
        real(source, target)

    with patch('os.replace', replace), patch('logging.Logger.error', lambda self, text: logged.append(text)):
        runner = train(tmp_path, scores=[1, 2, 3, 4, 3, 3], max_keep_ckpts=1, interval=2)
    assert runner.iter == 6
    assert len(logged) == len(there) and all(failing in text and 'no space left' in text for text in logged)
    assert checkpoints(tmp_path) == left
    newest = (tmp_path / 'last_checkpoint').read_text()
    assert newest.endswith('iter_2.pth' if failing == 'last_checkpoint' else 'iter_6.pth')
    torch.load(newest, weights_only=True)
    if failing == 'iter_4':
        assert 'iter_2.pth' in there[0]
    assert not [p for p in tmp_path.iterdir() if p.suffix == '.unfinished']


def test_the_last_checkpoint_is_tried_once_more(tmp_path):
    real, failures = os.replace, []

    def replace(source, target):
        if os.path.basename(target) == 'iter_6.pth' and not failures:
            failures.append(target)
            raise OSError('no space left')
        real(source, target)

    with patch('os.replace', replace):
        train(tmp_path, interval=-1)
    assert len(failures) == 1
    assert torch.load(tmp_path / 'iter_6.pth', weights_only=True)['meta']['iter'] == 6


@pytest.mark.skipif(resource is None, reason='needs limits of file sizes')
def test_a_full_disk_ends_no_run(tmp_path):
    """With room for 8 kB a file from the third iteration on, none of the later checkpoints can be written."""
    program = f"""
import resource
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.engine import SegRunner
from mmseg.registry import HOOKS
from tests.test_engine.toy import toy_config

@HOOKS.register_module()
class FillDisk(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))

cfg = toy_config({str(tmp_path)!r}, custom_hooks=[dict(type='FillDisk')])
cfg['default_hooks']['checkpoint'].update(max_keep_ckpts=1, interval=1)
runner = SegRunner.from_cfg(Config(cfg))
try:
    runner.train()
finally:
    print('iterations:', runner.iter)
"""
    result = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert 'iterations: 6' in result.stdout, result.stderr
    for number in (3, 4, 5, 6):
        assert f'iter_{number}.pth could not be saved: [Errno 27] File too large' in result.stdout
    assert 'training has ended, but its last checkpoint could not be saved' in result.stderr and result.returncode == 1
    assert checkpoints(tmp_path) == ['iter_2.pth']
    assert not [p for p in tmp_path.iterdir() if p.suffix == '.unfinished']
    again = SegRunner.from_cfg(Config(toy_config(tmp_path, resume='auto')))
    again.train()
    assert again.iter == 6 and 'iter_6.pth' in checkpoints(tmp_path)


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / 'iter_3.pth.123.unfinished').write_bytes(b'half')
    train(tmp_path)
    assert not (tmp_path / 'iter_3.pth.123.unfinished').exists()


def test_figures_that_cannot_be_written_end_no_run(tmp_path):
    with patch('mmengine.visualization.vis_backend.dump', side_effect=OSError('no space left')):
        assert train(tmp_path).iter == 6


def test_metrics_are_stated_in_the_checkpoints_that_they_are_of(tmp_path):
    train(tmp_path, scores=[1, 5, 3, 4, 3, 2], interval=2)
    metric = {
        name: torch.load(tmp_path / name, weights_only=True)['meta'].get('metric') for name in checkpoints(tmp_path)
    }
    assert metric == {
        'best_mIoU_iter_2.pth': dict(mIoU=5),
        'iter_2.pth': dict(mIoU=5),
        'iter_4.pth': dict(mIoU=4),
        'iter_6.pth': dict(mIoU=2),
    }


def test_an_unknown_metric_or_setting_is_refused(tmp_path):
    with pytest.raises(KeyError, match="save_best='IoU' is no metric of this validation: mIoU"):
        hook = CheckpointHook(save_best='IoU')
        hook._folder = str(tmp_path)
        hook.after_val_epoch(None, dict(mIoU=1.0))
    with pytest.raises(ValueError, match="must be 'greater' or 'less', not 'more'"):
        CheckpointHook(rule='more')
    with pytest.raises(ValueError, match='max_keep_ckpts'):
        CheckpointHook(max_keep_ckpts=0)
    for template in ('iter.pth', 'iter_{}.safetensors'):
        with pytest.raises(ValueError, match='filename_tmpl must have'):
            CheckpointHook(filename_tmpl=template)
    with pytest.raises(TypeError, match='intervall'):
        CheckpointHook(intervall=3)
