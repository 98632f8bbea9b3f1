"""Saves checkpoints so that there is a good one on the disk at every moment."""

import os
from contextlib import suppress

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmseg.registry import HOOKS

from ..runner.checkpoint_io import atomic_write


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves the run every so often, and the weights that validated best.

    A file takes its name only when it is complete, and older ones go only after that. The work dir's
    ``last_checkpoint`` names the newest.

    Args:
        interval: iterations (epochs if ``by_epoch``) from one checkpoint to the next; None for the training
            loop's ``val_interval``; -1 for none but the last.
        by_epoch: count epochs, not iterations.
        max_keep_ckpts: the number of newest checkpoints to keep; -1 keeps all. The best is kept beside them.
        save_last: save at the end of training whatever ``interval`` says.
        save_best: the metric by which to keep the best weights, e.g. 'mIoU'; None keeps none.
        rule: 'greater' or 'less', which of two metrics is better.
        save_optimizer: include the optimizer's state, without which a run cannot be resumed.
        save_param_scheduler: include the schedulers' state, likewise.
        out_dir: folder for the checkpoints; None for the work dir.
        filename_tmpl: file name with a ``{}`` for the number; None for ``iter_{}.pth`` or ``epoch_{}.pth``.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int | None = None,
        by_epoch: bool = False,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | None = None,
        rule: str = 'greater',
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | None = None,
        filename_tmpl: str | None = None,
    ) -> None:
        if rule not in ('greater', 'less'):
            raise ValueError(f"CheckpointHook: rule must be 'greater' or 'less', not {rule!r}")
        if max_keep_ckpts == 0 or max_keep_ckpts < -1:
            raise ValueError(f'CheckpointHook: max_keep_ckpts must be at least 1, or -1 for all, not {max_keep_ckpts}')
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.save_best = save_best
        self.rule = rule
        self.parts = dict(save_optimizer=save_optimizer, save_param_scheduler=save_param_scheduler)
        self.out_dir = out_dir
        self._folder = None
        self.filename_tmpl = filename_tmpl or ('epoch_{}.pth' if by_epoch else 'iter_{}.pth')

    def before_train(self, runner) -> None:
        """Settle folder and interval."""
        self._folder = os.path.abspath(self.out_dir or runner.work_dir)
        os.makedirs(self._folder, exist_ok=True)
        if self.interval is None:
            self.interval = runner.train_loop.val_interval
        runner.logger.info(f'checkpoints go to {self._folder}')

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save if it is time, counting iterations."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval) or (self.save_last and self.is_last_train_iter(runner))
        ):
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner) -> None:
        """Save if it is time, counting epochs."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval) or (self.save_last and self.is_last_train_epoch(runner))
        ):
            self._save(runner, dict(epoch=runner.epoch + 1, iter=runner.iter))

    def after_val_epoch(self, runner, metrics: dict) -> None:
        """Save the weights if they are the best so far, and let the iteration's checkpoint know what was found."""
        if self._folder is None:
            return  # validation outside of training
        if self.save_best is not None:
            self._compare(runner, metrics)
        number = runner.epoch if self.by_epoch else runner.iter
        if number in runner.message_hub.get_info('keep_ckpt_ids', []):
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))  # a run resumed from it need not validate

    def before_leaving(self, runner) -> None:
        """Save what is not on the disk yet, before training ends ahead of its time."""
        if runner.message_hub.get_info('keep_ckpt_ids', [])[-1:] != [runner.iter]:
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def _compare(self, runner, metrics: dict) -> None:
        if self.save_best not in metrics:
            raise KeyError(
                f'CheckpointHook: save_best={self.save_best!r} is no metric of this validation: {", ".join(metrics)}'
            )
        score, best = float(metrics[self.save_best]), runner.message_hub.runtime_info.get('best_score')
        if score != score or (best is not None and not (score > best if self.rule == 'greater' else score < best)):
            return
        self._save_best(runner, score)

    def _save(self, runner, meta: dict) -> None:
        hub = runner.message_hub
        number = meta['epoch' if self.by_epoch else 'iter']
        path = os.path.join(self._folder, self.filename_tmpl.format(number))
        kept = [n for n in hub.runtime_info.get('keep_ckpt_ids', []) if n != number] + [number]
        too_many = len(kept) - self.max_keep_ckpts if self.max_keep_ckpts > 0 else 0
        outdated, kept = (kept[:too_many], kept[too_many:]) if too_many > 0 else ([], kept)
        # Before saving: the file is to know of itself when a run is resumed from it.
        hub.update_info('keep_ckpt_ids', kept)
        hub.update_info('last_ckpt', path)
        runner.logger.info(f'saving {path}')
        runner.save_checkpoint(self._folder, os.path.basename(path), meta=meta, by_epoch=self.by_epoch, **self.parts)
        if is_main_process():
            with atomic_write(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
                file.write(path.encode())
            for old in outdated:
                _remove(os.path.join(self._folder, self.filename_tmpl.format(old)))

    def _save_best(self, runner, score: float) -> None:
        hub = runner.message_hub
        number = runner.epoch if self.by_epoch else runner.iter
        previous = hub.runtime_info.get('best_ckpt')
        path = os.path.join(
            self._folder, f'best_{self.save_best}_{self.filename_tmpl.format(number)}'.replace('/', '_')
        )
        hub.update_info('best_score', score)
        hub.update_info('best_ckpt', path)
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        runner.save_checkpoint(
            self._folder, os.path.basename(path), meta=meta, save_optimizer=False, save_param_scheduler=False
        )
        runner.logger.info(f'best {self.save_best} so far, {score:.4f}: saved {path}')
        if is_main_process() and previous and previous != path:
            _remove(previous)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(path)
