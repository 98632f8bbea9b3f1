"""The end of a run that no longer gets better."""

from mmengine.hooks import EarlyStoppingHook as _EarlyStoppingHook

from mmseg.registry import HOOKS

from .metric_choice import require_metrics, rule_for


@HOOKS.register_module()
class EarlyStoppingHook(_EarlyStoppingHook):
    """mmengine's; the metric is checked before training starts, and a resumed run goes on counting.

    Args:
        monitor: the metric, e.g. 'mIoU'.
        rule: 'greater' or 'less', which of two values is better; None for what the metric's name suggests.
        min_delta: how much better counts as better.
        strict: part of mmengine's; of no effect, as a metric that is missing always is an error.
        check_finite: stop at NaN or infinity.
        patience: validations in a row without a better value that end the run.
        stopping_threshold: stop as soon as the metric is better than this.
    """

    priority = 'LOW'  # before the checkpoint, which keeps the count

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.1,
        strict: bool = False,
        check_finite: bool = True,
        patience: int = 5,
        stopping_threshold: float | None = None,
    ) -> None:
        if patience < 1:
            raise ValueError(f'EarlyStoppingHook: patience must be at least 1, not {patience}')
        rule = rule or rule_for(monitor, 'EarlyStoppingHook: rule')
        super().__init__(monitor, rule, min_delta, True, check_finite, patience, stopping_threshold)
        self._in_training = False

    def before_run(self, runner) -> None:
        """Nothing: a validation or test has no training loop, and should build none."""

    def before_train(self, runner) -> None:
        """Check the name; count on from what a resumed run knows."""
        self._in_training = True
        require_metrics(runner, [self.monitor], 'EarlyStoppingHook: monitor')
        known = runner.message_hub.get_info('early_stopping', {}).get(self.monitor)
        if known is not None:
            self.wait_count, self.best_score = known
            if self.wait_count >= self.patience:
                runner.logger.warning(
                    f'{self.monitor} was not better in {self.wait_count} validations: training has ended already; '
                    'a larger patience of EarlyStoppingHook lets it go on'
                )
                runner.train_loop.stop_training = True

    def after_val_epoch(self, runner, metrics: dict) -> None:
        """Stop training if it is time; a validation outside of training has nothing to stop."""
        if not self._in_training:
            return
        super().after_val_epoch(runner, metrics)
        counts = runner.message_hub.get_info('early_stopping', {})
        state = [self.wait_count, self.best_score]
        runner.message_hub.update_info('early_stopping', {**counts, self.monitor: state})
