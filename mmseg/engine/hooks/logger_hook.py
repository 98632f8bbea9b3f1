"""The log of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.hooks import LoggerHook as _LoggerHook

from mmseg.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(_LoggerHook):
    """mmengine's, which logs losses, rates and metrics; how far an evaluation is shows ``EvalProgressHook``.

    What cannot be written, say because the disk is full, is logged as an error, and the run goes on.

    Args:
        interval: iterations between two lines of training.
        log_metric_by_epoch: count epochs, not iterations, along the x axis of metrics.
    """

    def __init__(self, interval: int = 50, log_metric_by_epoch: bool = False) -> None:
        super().__init__(interval=interval, log_metric_by_epoch=log_metric_by_epoch)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Log losses and rates if it is time."""
        with _outlive_full_disk(runner):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Nothing: see ``EvalProgressHook``."""

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Nothing: see ``EvalProgressHook``."""

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Log the metrics."""
        with _outlive_full_disk(runner):
            super().after_val_epoch(runner, metrics)

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        """Log the metrics."""
        with _outlive_full_disk(runner):
            super().after_test_epoch(runner, metrics)


@contextmanager
def _outlive_full_disk(runner) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        runner.logger.error(f'the figures of this line are missing in {runner.log_dir}: {error}')
