"""Saves checkpoints so that there is a good one on the disk at every moment."""

import os
from collections.abc import Callable, Sequence
from numbers import Number

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from mmseg.registry import HOOKS
from mmseg.utils.atomic_file import atomic_write, remove_unfinished

from .epochs import counts_epochs, iters_per_epoch
from .metric_choice import GREATER_KEYS, LESS_KEYS, require_metrics, rule_for


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves the run every so often, and the weights that validated best.

    A file takes its name only when it is complete and on the disk, and older ones go only after that: those inside the
    own folder that this run wrote, by what stands in them. The work dir's ``last_checkpoint`` names the newest. Where a
    file cannot be written, say because the disk is full, this is logged as an error, the older ones stay, and training
    goes on. The one at the end of training is then tried once more; if that fails as well, the run ends with an error.

    Args:
        interval: iterations (epochs if ``by_epoch``) from one checkpoint to the next; None for the training
            loop's ``val_interval``; -1 for none but the last.
        by_epoch: count epochs, not iterations; None for what the training loop counts.
        max_keep_ckpts: the number of newest checkpoints to keep; -1 keeps all. The best is kept beside them.
        save_last: save at the end of training, however early it comes, whatever ``interval`` says.
        save_best: the metric, or several, by which to keep the best weights, e.g. 'mIoU'; 'auto' for the first that
            validation measures; None keeps none. ``test_after_train`` goes by the first.
        rule: 'greater' or 'less', which of two values is better, or one for each metric; None for what their names
            suggest.
        save_optimizer: include the optimizer's state, without which a run cannot be resumed.
        save_param_scheduler: include the schedules' state, likewise.
        out_dir: folder for the checkpoints; None for the work dir.
        filename_tmpl: file name with a ``{}`` for the number; None for ``iter_{}.pth`` or ``epoch_{}.pth``.
        save_begin: the first iteration or epoch after which to save, from which ``interval`` is counted.
        greater_keys: parts of names that suggest 'greater'; None for the usual ones.
        less_keys: likewise for 'less'.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int | None = None,
        by_epoch: bool | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | Sequence[str] | None = None,
        rule: str | Sequence[str] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | None = None,
        filename_tmpl: str | None = None,
        save_begin: int = 0,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        published_keys: None = None,
        file_client_args: None = None,
        backend_args: None = None,
    ) -> None:
        if published_keys is not None:
            raise ValueError(
                'CheckpointHook: leave out published_keys; weights for others to use come from '
                'lrformer publish CHECKPOINT FILE'
            )
        if file_client_args is not None or backend_args is not None:
            raise ValueError(
                'CheckpointHook: checkpoints are written to local folders only: leave out file_client_args and '
                'backend_args, and state the folder as out_dir'
            )
        self.save_best = [save_best] if isinstance(save_best, str) else list(save_best or [])
        self.rules = [rule] * len(self.save_best) if rule is None or isinstance(rule, str) else list(rule)
        if len(self.rules) == 1:
            self.rules *= len(self.save_best)
        for one in self.rules if rule is None or not isinstance(rule, str) else [rule]:
            if one not in ('greater', 'less', None):
                raise ValueError(f"CheckpointHook: rule must be 'greater' or 'less', not {one!r}")
        if len(self.rules) != len(self.save_best) or len(set(self.save_best)) != len(self.save_best):
            raise ValueError(
                f'CheckpointHook: save_best={save_best!r} must name different metrics, and rule={rule!r} be one rule '
                'for all or one for each'
            )
        if max_keep_ckpts == 0 or max_keep_ckpts < -1:
            raise ValueError(f'CheckpointHook: max_keep_ckpts must be at least 1, or -1 for all, not {max_keep_ckpts}')
        if save_begin < 0:
            raise ValueError(f'CheckpointHook: save_begin must be at least 0, not {save_begin}')
        if filename_tmpl is not None and ('{}' not in filename_tmpl or not filename_tmpl.endswith('.pth')):
            raise ValueError(
                f'CheckpointHook: filename_tmpl must have a {{}} for the number and end in .pth, not {filename_tmpl!r}'
            )
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.keys = dict(
            greater_keys=_several(GREATER_KEYS if greater_keys is None else greater_keys),
            less_keys=_several(LESS_KEYS if less_keys is None else less_keys),
        )
        self.parts = dict(save_optimizer=save_optimizer, save_param_scheduler=save_param_scheduler)
        self.out_dir = out_dir
        self.save_begin = save_begin
        self.filename_tmpl = filename_tmpl
        self._folder = None
        self._is_missing = False  # whether the newest checkpoint could not be saved

    def before_train(self, runner) -> None:
        """Settle folder, interval and metrics; remove what a killed process has left.

        Raises:
            ValueError: ``save_best`` names what no validation measures, or epochs are counted where there are none.
        """
        loop = runner.train_loop
        if self.by_epoch is None:
            self.by_epoch = counts_epochs(loop)
        elif self.by_epoch and not getattr(loop, 'by_epoch', True):
            raise ValueError(
                f'CheckpointHook: by_epoch=True, but {type(loop).__name__} counts iterations, and a checkpoint '
                'would come at the end only: write by_epoch=False, or use EpochBasedTrainLoop'
            )
        self.filename_tmpl = self.filename_tmpl or ('epoch_{}.pth' if self.by_epoch else 'iter_{}.pth')
        if self.interval is None:
            self.interval = loop.val_interval * (
                iters_per_epoch(loop) if counts_epochs(loop) and not self.by_epoch else 1
            )
        self._choose_metrics(require_metrics(runner, self.save_best, 'CheckpointHook: save_best'))
        self._folder = os.path.abspath(self.out_dir or runner.work_dir)
        os.makedirs(self._folder, exist_ok=True)
        if is_main_process():
            for folder in {self._folder, os.path.abspath(runner.work_dir)}:
                for path in remove_unfinished(folder):
                    runner.logger.info(f'removed {path}, which was never finished')
        self._carry_over_best(runner.message_hub)
        runner.logger.info(f'checkpoints go to {self._folder}')

    def _choose_metrics(self, names: list[str]) -> None:
        if len(set(names)) != len(names):
            raise ValueError(f"CheckpointHook: save_best={self.save_best} means the metric {names[0]!r} twice ('auto')")
        self.save_best = names
        self.rules = [
            rule or ('auto' if name == 'auto' else rule_for(name, 'CheckpointHook: rule', **self.keys))
            for name, rule in zip(names, self.rules, strict=True)
        ]

    def _carry_over_best(self, hub) -> None:
        """The best scores so far, by metric; also from mmengine's facts, and where the folder has been moved."""
        best = dict(hub.get_info('best', {}))
        score, path = hub.get_info('best_score'), hub.get_info('best_ckpt')
        if not best and path and score is not None:
            best = {n: (score, path) for n in self.save_best if os.path.basename(path).startswith(f'best_{n}_')}
        for name, (score, path) in best.items():
            here = os.path.join(self._folder, os.path.basename(path))
            best[name] = (score, here if not os.path.isfile(path) and os.path.isfile(here) else path)
        for key, value in self._best_facts(best).items():
            hub.update_info(key, value)

    def _best_facts(self, best: dict) -> dict:
        score, path = best.get(self.save_best[0], (None, None)) if self.save_best else (None, None)
        return dict(best=best, best_score=score, best_ckpt=path)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save if it is time, counting iterations."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_iter(runner))
        ):
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner) -> None:
        """Save if it is time, counting epochs."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_epoch(runner))
        ):
            self._save(runner, dict(epoch=runner.epoch + 1, iter=runner.iter))

    def after_val_epoch(self, runner, metrics: dict) -> None:
        """Save the weights if they are the best so far, and let the iteration's checkpoint know what was found."""
        if self._folder is None:
            return  # validation outside of training
        if 'auto' in self.save_best:
            self._choose_metrics([next(iter(metrics)) if name == 'auto' else name for name in self.save_best])
        for name in self.save_best:
            if name not in metrics:
                raise KeyError(
                    f'CheckpointHook: save_best={name!r} is no metric of this validation: {", ".join(metrics)}'
                )
        meta = dict(epoch=runner.epoch, iter=runner.iter, metric=_numbers(metrics))
        for name, rule in zip(self.save_best, self.rules, strict=True):
            self._save_if_best(runner, name, rule, float(metrics[name]), meta)
        if _is_saved(runner):
            self._save(runner, meta)  # a run resumed from it need not validate

    def before_leaving(self, runner) -> None:
        """Save what is not on the disk yet, before training ends ahead of its time."""
        if not _is_saved(runner):
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def after_train(self, runner) -> None:
        """Save the state that was reached if training ended early, or if the last checkpoint could not be saved.

        Raises:
            OSError: it still cannot.
        """
        if self._is_missing or (self.save_last and not _is_saved(runner)):
            self._save(runner, dict(epoch=runner.epoch, iter=runner.iter))
        if self._is_missing:
            newest = runner.message_hub.runtime_info.get('last_ckpt')
            raise OSError(
                'training has ended, but its last checkpoint could not be saved, see the error above. '
                + (f'The newest is {newest}' if newest else 'There is no earlier one')
            )

    def _name(self, runner, meta: dict) -> str:
        if not self.by_epoch:
            return self.filename_tmpl.format(meta['iter'])
        if meta['iter'] != meta['epoch'] * iters_per_epoch(runner.train_loop):
            return f'iter_{meta["iter"]}.pth'  # asked to leave in the middle of an epoch
        return self.filename_tmpl.format(meta['epoch'])

    def _save(self, runner, meta: dict) -> None:
        name = self._name(runner, meta)
        path = os.path.join(self._folder, name)
        kept = [n for n in runner.message_hub.runtime_info.get('kept_ckpts', []) if n != name] + [name]
        too_many = len(kept) - self.max_keep_ckpts if self.max_keep_ckpts > 0 else 0
        outdated, kept = (kept[:too_many], kept[too_many:]) if too_many > 0 else ([], kept)
        runner.logger.info(f'saving {path}')
        facts = dict(kept_ckpts=kept, last_ckpt=path, saved_iter=meta['iter'])
        self._is_missing = not self._write(runner, path, facts, meta=meta, by_epoch=self.by_epoch, **self.parts)
        if self._is_missing:
            return

        def name_it() -> None:
            if is_main_process():
                with atomic_write(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
                    file.write(path.encode())

        if not _succeeds(runner, 'last_checkpoint', name_it):
            runner.message_hub.update_info('kept_ckpts', [*outdated, *kept])  # it still names an older one
            return
        for old in outdated:
            self._remove(runner, os.path.join(self._folder, old))

    def _save_if_best(self, runner, metric: str, rule: str, score: float, meta: dict) -> None:
        best = runner.message_hub.runtime_info['best']
        before, previous = best.get(metric, (None, None))
        if score != score or (before is not None and not (score > before if rule == 'greater' else score < before)):
            return
        path = os.path.join(self._folder, f'best_{metric}_{self._name(runner, meta)}'.replace('/', '_'))
        facts = self._best_facts({**best, metric: (score, path)})
        if not self._write(runner, path, facts, meta=meta, save_optimizer=False, save_param_scheduler=False):
            return
        runner.logger.info(f'best {metric} so far, {score:.4f}: saved {path}')
        if previous and previous != path:
            self._remove(runner, previous)

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

    def _remove(self, runner, path: str) -> None:
        """Remove a file that is outdated, if it is this run's."""
        if not is_main_process() or not os.path.isfile(path):
            return
        inside = os.path.realpath(os.path.dirname(path)) == os.path.realpath(self._folder)
        if not inside or _written_by(path) != runner.run_id:
            return
        try:
            os.remove(path)
        except OSError as error:
            runner.logger.error(f'{path}, which is outdated, could not be removed: {error}')


def _several(keys: str | Sequence[str]) -> list[str]:
    return [keys] if isinstance(keys, str) else list(keys)


def _is_saved(runner) -> bool:
    return runner.message_hub.runtime_info.get('saved_iter') == runner.iter


def _written_by(path: str) -> str | None:
    """The id of the run that wrote a checkpoint; its tensors are not read."""
    try:
        return torch.load(path, map_location='cpu', mmap=True, weights_only=True)['meta']['run']
    except Exception:  # whatever is wrong with it: it is not what this run wrote
        return None


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
