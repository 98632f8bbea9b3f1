"""The log of a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as _LoggerHook

from mmseg.registry import HOOKS

from .epochs import counts_epochs


@HOOKS.register_module()
class LoggerHook(_LoggerHook):
    """mmengine's, which logs losses, rates and metrics; how far an evaluation is shows ``EvalProgressHook``.

    What cannot be written, say because the disk is full, is logged as an error, and the run goes on.

    Args:
        interval: iterations between two lines of training.
        log_metric_by_epoch: count epochs, not iterations, along the x axis of metrics; None for what the training
            loop counts.
        ignore_last: no line for the iterations that are left over at the end of an epoch.
        interval_exp_name: iterations between two lines with the name of the run.
        out_dir: folder that gets a copy of the logs at the end, in a folder named like the work dir.
        out_suffix: ends of the names of those files.
        keep_local: with ``out_dir``, leave them in the work dir as well.
    """

    def __init__(
        self,
        interval: int = 50,
        log_metric_by_epoch: bool | None = None,
        ignore_last: bool = True,
        interval_exp_name: int = 1000,
        out_dir: str | Path | None = None,
        out_suffix: str | Sequence[str] = ('.json', '.log', '.py', 'yaml'),
        keep_local: bool = True,
        file_client_args: None = None,
        backend_args: None = None,
    ) -> None:
        if file_client_args is not None or backend_args is not None:
            raise ValueError(
                'LoggerHook: logs are written to local folders only: leave out file_client_args and backend_args, '
                'and state the folder as out_dir'
            )
        if isinstance(out_suffix, list):
            out_suffix = tuple(out_suffix)
        super().__init__(
            interval=interval,
            ignore_last=ignore_last,
            interval_exp_name=interval_exp_name,
            out_dir=out_dir,
            out_suffix=out_suffix,
            keep_local=keep_local,
            log_metric_by_epoch=log_metric_by_epoch,
        )
        self._out_root = out_dir
        self._iters_per_epoch = None

    def before_run(self, runner) -> None:
        """Settle where the logs go; a training and the test after it are two runs for mmengine, but go to one place."""
        self.out_dir = self._out_root
        super().before_run(runner)

    def before_train(self, runner) -> None:
        """Settle what to count."""
        if self.log_metric_by_epoch is None:
            self.log_metric_by_epoch = counts_epochs(runner.train_loop)
        self._iters_per_epoch = getattr(runner.train_loop, 'iters_per_epoch', None)

    def end_of_epoch(self, dataloader, batch_idx: int) -> bool:
        """Whether this iteration of training is an epoch's last; it may take several batches of the loader."""
        return batch_idx + 1 == (self._iters_per_epoch or len(dataloader))

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

    def after_run(self, runner) -> None:
        """Copy the logs to ``out_dir``, if there is one; the first process does it for all."""
        if is_main_process():
            with _outlive_full_disk(runner):
                super().after_run(runner)


@contextmanager
def _outlive_full_disk(runner) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        runner.logger.error(f'the figures of this line are missing in {runner.log_dir}: {error}')
