"""A page about the training that runs; whatever happens to it, training goes on."""

import pytest
from mmengine.config import Config

from mmseg.engine.hooks import TrainingReportHook
from mmseg.engine.launch import train
from mmseg.engine.reporting import add_report_metric
from mmseg.report.page import read_page

from .toy import toy_config


def config(folder):
    cfg = toy_config(folder)
    cfg['default_hooks']['report'] = dict(type='TrainingReportHook')
    cfg['visualizer'] = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
    return Config(cfg)


def test_training_leaves_a_page_and_a_picture(tmp_path):
    runner = train(config(tmp_path))
    data, samples = read_page(tmp_path / 'training.html', 'data', 'samples')
    (run,) = data['runs']
    assert run['train']['loss']['x'] == list(range(1, runner.max_iters + 1)) and run['iteration'] == run['length']
    assert run['val']['mIoU']['x'] and len(run['starts']) == 1 and samples == {tmp_path.name: {}}
    assert (tmp_path / 'curves.png').stat().st_size > 1000


def test_a_page_that_cannot_be_written_ends_nothing(tmp_path):
    (tmp_path / 'training.html').mkdir()
    runner = train(config(tmp_path))
    assert runner.iter == runner.max_iters
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'training.html could not be written: IsADirectoryError' in log


def test_it_is_written_in_between_when_it_is_old(monkeypatch):
    hook, written = TrainingReportHook(minutes=2), []
    monkeypatch.setattr(hook, '_write', written.append)
    hook.before_train('runner')
    hook.after_train_iter('runner', 0)
    assert not written
    hook._written -= 121
    hook.after_train_iter('runner', 1)
    assert written == ['runner']
    with pytest.raises(ValueError, match='minutes must be above 0, got 0'):
        TrainingReportHook(minutes=0)


def test_reports_of_tests_need_figures_and_pictures():
    cfg = Config(dict(test_evaluator=dict(type='IoUMetric', format_only=True, output_dir='x'), model=dict()))
    with pytest.raises(ValueError, match='format_only=True measures none'):
        add_report_metric(cfg, 12, False)
    cfg.test_evaluator = dict(type='IoUMetric', ignore_index=0)
    with pytest.raises(ValueError, match='--report-images must be 1 or more, not 0'):
        add_report_metric(cfg, 0, False)
    add_report_metric(cfg, 12, True)
    assert cfg.test_evaluator[1] == dict(type='ReportMetric', ignore_index=0, pictures=12, scores=True)
    assert cfg.model.test_cfg == dict(return_scores=True)
