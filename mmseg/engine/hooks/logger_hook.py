"""The log of a run."""

from mmengine.hooks import LoggerHook as _LoggerHook

from mmseg.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(_LoggerHook):
    """mmengine's, which logs losses, rates and metrics; how far an evaluation is shows ``EvalProgressHook``.

    Args:
        interval: iterations between two lines of training.
        log_metric_by_epoch: count epochs, not iterations, along the x axis of metrics.
    """

    def __init__(self, interval: int = 50, log_metric_by_epoch: bool = False) -> None:
        super().__init__(interval=interval, log_metric_by_epoch=log_metric_by_epoch)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Nothing: see ``EvalProgressHook``."""

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Nothing: see ``EvalProgressHook``."""
