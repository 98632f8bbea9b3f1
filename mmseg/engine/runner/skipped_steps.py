"""Steps that are left out because their numbers are not finite, and the end of a run that comes to no others."""

import os

import torch
from mmengine.dist import barrier, get_rank
from mmengine.structures import BaseDataElement

from mmseg.checkpoints import to_plain
from mmseg.utils.atomic_file import atomic_write


class NonFiniteError(RuntimeError):
    """Training has come to numbers that are not finite, and does not leave them."""


class SkippedSteps:
    """Counts the steps that the optimizer wrapper left out, and undoes what else their batches did.

    Args:
        runner: the runner, whose model has its final buffers.
        patience: this many in a row end the run with a :class:`NonFiniteError`; what is needed to look into it is
            saved in the work dir.
    """

    def __init__(self, runner, patience: int) -> None:
        self.runner = runner
        self.patience = patience
        self.buffers = list(runner.model.buffers())
        self.kept = [torch.empty_like(buffer) for buffer in self.buffers]

    def before_step(self) -> None:
        """Keep the running statistics, for the case that they must not learn from what comes."""
        if self.buffers:
            torch._foreach_copy_(self.kept, self.buffers)

    def after_step(self, outputs: dict, batches: list) -> None:
        """Put them back if the step was left out, and say so.

        Raises:
            NonFiniteError: patience is at an end.
        """
        hub = self.runner.message_hub
        in_a_row = hub.get_info('skipped_in_a_row', 0)
        if not getattr(self.runner.optim_wrapper, 'skipped', False):  # wrappers of other packages do not look
            if in_a_row:
                hub.update_info('skipped_in_a_row', 0)
            return
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.kept)
        in_all = hub.get_info('skipped_steps', 0) + 1
        hub.update_info('skipped_steps', in_all)
        hub.update_info('skipped_in_a_row', in_a_row + 1)
        bad = [name for name, value in outputs.items() if not value.isfinite().all()]
        what = f'not finite: {", ".join(bad) or "a gradient, or another process"}'
        number = self.runner.iter + 1
        self.runner.logger.warning(f'iteration {number} left out, {what} ({in_a_row + 1} in a row, {in_all} in all)')
        if in_a_row + 1 >= self.patience:
            folder = self._save_for_debugging(batches, number)
            raise NonFiniteError(
                f'{what}, in {in_a_row + 1} iterations in a row (train_cfg.patience={self.patience}). '
                f'{folder} holds the state before iteration {number} with the config, and its batch'
            )

    def _save_for_debugging(self, batches: list, number: int) -> str:
        """Every process its batch, the first one the rest."""
        runner = self.runner
        folder = os.path.join(runner.work_dir, f'not_finite_iter_{number}')
        os.makedirs(folder, exist_ok=True)
        with atomic_write(os.path.join(folder, f'batch_rank_{get_rank()}.pth')) as file:
            torch.save(to_plain([_open(batch) for batch in batches]), file)
        runner.save_checkpoint(folder, 'state.pth', meta=dict(epoch=runner.epoch, iter=runner.iter))
        barrier()  # or the first to leave would have the launcher end those that still write
        return folder


def _open(value: object) -> object:
    """Data elements among the dicts and lists of a batch as dicts of what they hold."""
    if isinstance(value, BaseDataElement):
        return {key: _open(item) for key, item in value.all_items()}
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_open(item) for item in value]
    return value
