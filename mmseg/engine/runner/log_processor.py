"""How a line of the log reads."""

from mmengine.runner import LogProcessor as _LogProcessor

from mmseg.registry import LOG_PROCESSORS

from ..hooks.epochs import counts_epochs


@LOG_PROCESSORS.register_module()
class LogProcessor(_LogProcessor):
    """mmengine's, which counts as the training loop does.

    Args:
        window_size: iterations over which losses and times are averaged.
        by_epoch: count iterations within epochs; None for what the training loop counts.
        custom_cfg: see mmengine.
        num_digits: digits after the point.
        log_with_hierarchy: put train/, val/ or test/ before the names.
        mean_pattern: the names that are averaged.
    """

    def __init__(
        self,
        window_size: int = 10,
        by_epoch: bool | None = None,
        custom_cfg: list[dict] | None = None,
        num_digits: int = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r'.*(loss|time|data_time|grad_norm).*',
    ) -> None:
        self._follows_loop = by_epoch is None
        super().__init__(window_size, by_epoch is not False, custom_cfg, num_digits, log_with_hierarchy, mean_pattern)

    def get_log_after_iter(self, runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """The figures after an iteration, by name and as a line."""
        self._settle(runner)
        return super().get_log_after_iter(runner, batch_idx, mode)

    def get_log_after_epoch(self, runner, batch_idx: int, mode: str, with_non_scalar: bool = False) -> tuple[dict, str]:
        """The figures of a validation or test, by name and as a line."""
        self._settle(runner)
        return super().get_log_after_epoch(runner, batch_idx, mode, with_non_scalar)

    def _settle(self, runner) -> None:
        if self._follows_loop:
            self.by_epoch = counts_epochs(runner._train_loop)  # a config where there is no training

    def _get_dataloader_size(self, runner, mode: str) -> int:
        """In training, iterations: of one, the loader may give several batches."""
        iterations = getattr(runner.train_loop, 'iters_per_epoch', None) if mode == 'train' else None
        return iterations or super()._get_dataloader_size(runner, mode)
