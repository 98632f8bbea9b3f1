"""A page about the training that runs."""

import time

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmseg.registry import HOOKS
from mmseg.report import write_training_report


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Writes ``training.html`` and ``curves.png`` into the work dir (:func:`mmseg.report.write_training_report`).

    After each validation, at the end, and in between when the last ones are ``minutes`` old. What goes wrong with them
    is logged as an error, and training goes on.

    Args:
        minutes: see above.
    """

    priority = 'LOWEST'  # after the figures are logged

    def __init__(self, minutes: float = 10.0) -> None:
        if minutes <= 0:
            raise ValueError(f'TrainingReportHook: minutes must be above 0, got {minutes}')
        self.minutes = minutes
        self._written = 0.0

    def before_train(self, runner) -> None:
        self._written = time.monotonic()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        """Write if it is time."""
        if time.monotonic() - self._written > 60 * self.minutes:
            self._write(runner)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Write with the new metrics."""
        self._write(runner)

    def after_train(self, runner) -> None:
        """Write the whole."""
        self._write(runner)

    @master_only
    def _write(self, runner) -> None:
        try:
            write_training_report([runner.work_dir], runner.work_dir)
        except FileNotFoundError:
            pass  # nothing was logged yet
        except Exception as error:  # a page must not end a training
            runner.logger.error(f'{runner.work_dir}/training.html could not be written: {error!r}')
        self._written = time.monotonic()
