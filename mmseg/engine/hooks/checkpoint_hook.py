"""Saves checkpoints so that there is a good one on the disk at every moment."""

import os
from collections.abc import Callable
from contextlib import suppress
from numbers import Number

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from mmseg.registry import HOOKS
from mmseg.utils.atomic_file import atomic_write, remove_unfinished


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves the run every so often, and the weights that validated best.

    A file takes its name only when it is complete and on the disk, and older ones go only after that. The work dir's
    ``last_checkpoint`` names the newest. Where a file cannot be written, say because the disk is full, this is logged
    as an error, the older ones stay, and training goes on. The one at the end of training is then tried once more;
    if that fails as well, the run ends with an error.

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
        filename_tmpl = filename_tmpl or ('epoch_{}.pth' if by_epoch else 'iter_{}.pth')
        if '{}' not in filename_tmpl or not filename_tmpl.endswith('.pth'):
            raise ValueError(
                f'CheckpointHook: filename_tmpl must have a {{}} for the number and end in .pth, not {filename_tmpl!r}'
            )
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.save_best = save_best
        self.rule = rule
        self.parts = dict(save_optimizer=save_optimizer, save_param_scheduler=save_param_scheduler)
        self.out_dir = out_dir
        self._folder = None
        self._is_missing = False  # whether the newest checkpoint could not be saved
        self.filename_tmpl = filename_tmpl

    def before_train(self, runner) -> None:
        """Settle folder and interval; remove what a killed process has left."""
        self._folder = os.path.abspath(self.out_dir or runner.work_dir)
        os.makedirs(self._folder, exist_ok=True)
        if is_main_process():
            for folder in {self._folder, os.path.abspath(runner.work_dir)}:
                for path in remove_unfinished(folder):
                    runner.logger.info(f'removed {path}, which was never finished')
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
        if self.save_best not in (None, *metrics):
            raise KeyError(
                f'CheckpointHook: save_best={self.save_best!r} is no metric of this validation: {", ".join(metrics)}'
            )
        meta = dict(epoch=runner.epoch, iter=runner.iter, metric=_numbers(metrics))
        number = meta['epoch' if self.by_epoch else 'iter']
        if self.save_best is not None:
            self._save_if_best(runner, float(metrics[self.save_best]), number, meta)
        if number in runner.message_hub.runtime_info.get('keep_ckpt_ids', []):
            self._save(runner, meta)  # a run resumed from it need not validate

    def before_leaving(self, runner) -> None:
        """Save what is not on the disk yet, before training ends ahead of its time."""
        if runner.message_hub.runtime_info.get('keep_ckpt_ids', [])[-1:] != [runner.iter]:
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def after_train(self, runner) -> None:
        """Try once more, if the last checkpoint could not be saved.

        Raises:
            OSError: it still cannot.
        """
        if self._is_missing:
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))
        if self._is_missing:
            newest = runner.message_hub.runtime_info.get('last_ckpt')
            raise OSError(
                'training has ended, but its last checkpoint could not be saved, see the error above. '
                + (f'The newest is {newest}' if newest else 'There is no earlier one')
            )

    def _save(self, runner, meta: dict) -> None:
        number = meta['epoch' if self.by_epoch else 'iter']
        path = os.path.join(self._folder, self.filename_tmpl.format(number))
        before = runner.message_hub.runtime_info.get('keep_ckpt_ids', [])
        kept = [n for n in before if n != number] + [number]
        too_many = len(kept) - self.max_keep_ckpts if self.max_keep_ckpts > 0 else 0
        outdated, kept = (kept[:too_many], kept[too_many:]) if too_many > 0 else ([], kept)
        runner.logger.info(f'saving {path}')
        facts = dict(keep_ckpt_ids=kept, last_ckpt=path)
        self._is_missing = not self._write(runner, path, facts, meta=meta, by_epoch=self.by_epoch, **self.parts)
        if self._is_missing:
            return

        def name_it() -> None:
            if is_main_process():
                with atomic_write(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
                    file.write(path.encode())

        if not _succeeds(runner, 'last_checkpoint', name_it):
            runner.message_hub.update_info('keep_ckpt_ids', [*outdated, *kept])  # it still names an older one
        elif is_main_process():
            for old in outdated:
                _remove(runner, os.path.join(self._folder, self.filename_tmpl.format(old)))

    def _save_if_best(self, runner, score: float, number: int, meta: dict) -> None:
        best = runner.message_hub.runtime_info.get('best_score')
        if score != score or (best is not None and not (score > best if self.rule == 'greater' else score < best)):
            return
        previous = runner.message_hub.runtime_info.get('best_ckpt')
        path = os.path.join(
            self._folder, f'best_{self.save_best}_{self.filename_tmpl.format(number)}'.replace('/', '_')
        )
        facts = dict(best_score=score, best_ckpt=path)
        if not self._write(runner, path, facts, meta=meta, save_optimizer=False, save_param_scheduler=False):
            return
        runner.logger.info(f'best {self.save_best} so far, {score:.4f}: saved {path}')
        if is_main_process() and previous and previous != path:
            _remove(runner, previous)

    @staticmethod
    def _write(runner, path: str, facts: dict, **options) -> bool:
        """Save a checkpoint that knows these facts; they are taken back if that fails."""
        hub = runner.message_hub
        before = {key: hub.runtime_info[key] for key in facts if key in hub.runtime_info}
        for key, value in facts.items():
            hub.update_info(key, value)
        folder, name = os.path.split(path)
        saved = _succeeds(runner, path, lambda: runner.save_checkpoint(folder, name, **options))
        if not saved:
            for key in facts:
                hub.pop_info(key)
            for key, value in before.items():
                hub.update_info(key, value)
        return saved


def _numbers(metrics: dict) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, Number)}


def _succeeds(runner, path: str, write: Callable[[], None]) -> bool:
    """Whether writing a file goes well, known to all processes; if not, the error is logged."""
    succeeded = [True]
    try:
        write()
    except OSError as error:
        succeeded = [False]
        runner.logger.error(
            f'{path} could not be saved: {error}. What was saved before is kept, and training goes on: '
            'make room or restore the access to the folder before the next one'
        )
    broadcast_object_list(succeeded)  # only the first process writes
    return succeeded[0]


def _remove(runner, path: str) -> None:
    try:
        with suppress(FileNotFoundError):
            os.remove(path)
    except OSError as error:
        runner.logger.error(f'{path}, which is outdated, could not be removed: {error}')
