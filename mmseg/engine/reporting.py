"""What ``lrformer test --report`` adds to a test."""

from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process

from mmseg.checkpoints.checksum import digest_of_file
from mmseg.checkpoints.remote import local_file
from mmseg.models.segmentors import SegTTAModel
from mmseg.report import ReportMetric, write_test_report
from mmseg.zoo import checkpoint_file

from .processes.group import bare_model
from .runner import SegRunner


def add_report_metric(cfg: Config, pictures: int, scores: bool) -> None:
    """Put :class:`~mmseg.report.ReportMetric` into a config, beside the metrics of its test.

    Raises:
        ValueError: the test measures nothing, so that there is nothing to show.
    """
    metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if any(metric.get('format_only') for metric in metrics):
        raise ValueError(
            '--report shows errors, and test_evaluator.format_only=True measures none: leave one of them out'
        )
    if pictures < 1:
        raise ValueError(f'--report-images must be 1 or more, not {pictures}')
    ignored = next((metric['ignore_index'] for metric in metrics if 'ignore_index' in metric), 255)
    cfg.test_evaluator = [*metrics, dict(type='ReportMetric', ignore_index=ignored, pictures=pictures, scores=scores)]
    if scores:
        model = cfg.model.get('module', cfg.model)  # of several views
        model['test_cfg'] = {**(model.get('test_cfg') or {}), 'return_scores': True}


def _metric(runner: SegRunner) -> ReportMetric:
    return next(metric for metric in runner.test_loop.evaluator.metrics if isinstance(metric, ReportMetric))


def tell_scores(runner: SegRunner) -> None:
    """Let the metric know what the scores of this model are."""
    model = bare_model(runner.model)
    _metric(runner).probabilities = isinstance(model, SegTTAModel) or model.predicts_masks


def write_report(runner: SegRunner, folder: str, metrics: Mapping[str, float], checkpoint: str, command: str) -> None:
    """Write the page of a test that ended."""
    if not is_main_process():
        return
    metric = _metric(runner)
    file = local_file(checkpoint_file(checkpoint))
    run = dict(
        name=Path(runner.cfg.filename).stem,
        config=runner.cfg.pretty_text,
        checkpoint=str(checkpoint),
        sha256=digest_of_file(file),
        command=command,
        speed=_speed(runner, metric),
    )
    page = write_test_report(folder, metric.facts, metrics, metric.dataset_meta['classes'], metric.palette, run)
    runner.logger.info(f'the report of the test is {page} ({page.stat().st_size / 2**20:.1f} MiB)')


def _speed(runner: SegRunner, metric: ReportMetric) -> dict[str, str]:
    """Names and texts; without what the report itself took."""
    scalars, images = runner.message_hub.log_scalars, len(metric.facts.images)
    if 'test/time' not in scalars:
        return {}
    whole, waited = (float(scalars[f'test/{name}'].data[0].sum()) for name in ('time', 'data_time'))
    seconds = max(whole - metric.own_seconds, 1e-9)
    facts = {
        'images per second': f'{images / seconds:.2f}',
        'waiting for data': f'{waited / seconds:.0%} of the time',
        'processes': str(get_world_size()),
        'images at a time': str(runner.test_dataloader.batch_size),
        'parameters': f'{sum(p.numel() for p in runner.model.parameters()):,}',
    }
    if torch.cuda.is_available():
        facts['GPU memory at most'] = f'{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB'
    return facts
