"""Training loops."""

import bisect
import math
import os
from collections.abc import Iterator

import torch
from mmengine.dist import broadcast, get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmengine.runner.utils import calc_dynamic_intervals

from mmseg.registry import LOOPS

from ..processes.preemption import all_leave
from ..samplers.sample_seed import PROCESS, seed_generators
from .schedules import refuse_to_learn_nothing
from .skipped_steps import SkippedSteps


class _TrainLoop(BaseLoop):
    """What both training loops are made of; each iteration is one step of the optimizer on one whole global batch.

    The batch may be spread over processes and over several passes whose gradients add up
    (:class:`~mmseg.engine.runner.BatchPlan`); neither changes what an iteration is. A resumed run enters the
    stream of samples where the earlier one left it, and loads nothing on the way there.

    Every iteration seeds each process's generators (Python, NumPy, torch on CPU and CUDA) from (seed, rank,
    iteration). So what stochastic depth or dropout draw in an iteration does not depend on what was drawn before
    it: a resumed run repeats the uninterrupted one bit for bit without generator states of every process in
    the checkpoint, and validation or a hook that draws numbers in between changes nothing. A validation that was
    due after the checkpoint's iteration and did not end is caught up on.

    A step whose loss or gradient is not finite is left out (:mod:`.skipped_steps`), and so is what its batch did
    to running statistics. SIGTERM and Ctrl-C end training after the iteration at hand, with a
    checkpoint (:mod:`..processes.preemption`).
    """

    by_epoch: bool  # whether val_interval, and hooks that ask, count epochs

    def __init__(
        self,
        runner,
        dataloader: torch.utils.data.DataLoader | dict,
        length: int,
        val_begin: int,
        val_interval: int,
        dynamic_intervals: list[tuple[int, int]] | None,
        patience: int,
    ) -> None:
        name = f'train_cfg.{"max_epochs" if self.by_epoch else "max_iters"}'
        for key, value in ((name, length), ('train_cfg.val_interval', val_interval), ('train_cfg.patience', patience)):
            if not isinstance(value, (int, float)) or value < 1 or int(value) != value:
                raise ValueError(f'{key} must be a whole number of at least 1, not {value!r}')
        super().__init__(runner, dataloader)
        self.sampler = self.dataloader.sampler
        if not hasattr(self.sampler, 'epoch_length' if self.by_epoch else 'seek'):
            raise TypeError(
                f'{type(self).__name__} needs a sampler that can seek, not {type(self.sampler).__name__}: '
                "write train_dataloader.sampler=dict(type='InfiniteSampler', shuffle=True)"
            )
        self.patience = patience
        self._iter = 0
        self._epoch = 0
        self.val_begin = val_begin
        self.val_interval = val_interval
        self.stop_training = False  # EarlyStoppingHook sets it
        self._milestones, self._intervals = calc_dynamic_intervals(val_interval, dynamic_intervals)
        runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)

    @property
    def max_iters(self) -> int:
        return self.max_epochs * self.iters_per_epoch

    @property
    def iter(self) -> int:
        """Iterations done so far."""
        return self._iter

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._epoch

    def run(self) -> torch.nn.Module:
        """Train to the end and return the model."""
        runner = self.runner
        plan = runner.batch_plan
        runner.logger.info(str(plan))
        refuse_to_learn_nothing(runner)
        self._accumulate(plan.accumulation)
        runner.call_hook('before_train')
        self.sampler.seek(self._iter * plan.global_batch)
        runner.model.train()
        self._skipped = SkippedSteps(runner, self.patience)
        self._validate_if_due()
        batches = iter(self.dataloader)
        while self._epoch < self.max_epochs and not self.stop_training:
            runner.call_hook('before_train_epoch')
            while not self._epoch_is_over() and not self.stop_training:
                self.run_iter(self._take(batches, plan.accumulation))
                self._leave_if_asked()
                self._validate_if_due()
            if self._epoch_is_over():
                runner.call_hook('after_train_epoch')
                self._epoch += 1
                self._validate_if_due()
        runner.call_hook('after_train')
        return runner.model

    def _take(self, batches: Iterator, passes: int) -> list:
        try:
            return [next(batches) for _ in range(passes)]
        except StopIteration:
            raise RuntimeError(
                f'{type(self.sampler).__name__} came to its end after {self._iter} of {self.max_iters} iterations: '
                "it must go on for ever, as train_dataloader.sampler=dict(type='InfiniteSampler') does"
            ) from None

    def run_iter(self, batches: list) -> None:
        """One step of the optimizer on this process's share of a global batch, in equal parts."""
        runner = self.runner
        whole = _join(batches)
        index = self._iter - self._epoch * self.iters_per_epoch
        seed_generators(runner.seed, get_rank(), self._iter, PROCESS)
        runner.call_hook('before_train_iter', batch_idx=index, data_batch=whole)
        self._skipped.before_step()
        logs = [runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper) for batch in batches]
        outputs = {key: sum(log[key].detach() for log in logs) / len(logs) for key in logs[0]}
        self._skipped.after_step(outputs, batches)
        runner.call_hook('after_train_iter', batch_idx=index, data_batch=whole, outputs=outputs)
        self._iter += 1

    def _validate_if_due(self) -> None:
        """After an iteration and after an epoch; at the start, to catch up on what a killed run has not ended."""
        hub, done = self.runner.message_hub, self._steps_done()
        if self.runner.val_loop is None or not done or hub.get_info('last_validation') == self._iter:
            return
        self.val_interval = self._intervals[bisect.bisect(self._milestones, done + 1) - 1]
        due = done >= self.val_begin and done % self.val_interval == 0
        if due or self._iter == self.max_iters:
            _share_buffers(self.runner.model)
            self.runner.val_loop.run()
            hub.update_info('last_validation', self._iter)  # loops of other packages do not say
            self.runner.model.train()
            self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        if leave := all_leave():
            self.runner.logger.warning(f'asked to leave by {leave.asked_by} after iteration {self._iter}')
            self.runner.call_hook('before_leaving')
            raise leave

    def _accumulate(self, passes: int) -> None:
        """Let the optimizer wrapper add up this many passes, and share gradients in the last only."""
        wrapper = self.runner.optim_wrapper
        if wrapper._accumulative_counts != 1:
            raise ValueError(
                f'optim_wrapper.accumulative_counts={wrapper._accumulative_counts} is not used here: state the '
                'whole train_dataloader.global_batch_size, and limit what one process takes with batch_per_gpu'
            )
        wrapper._accumulative_counts = passes
        # mmengine's runner has set these counts in iterations; the wrapper counts passes.
        wrapper.initialize_count_status(self.runner.model, self._iter * passes, self.max_iters * passes)

    def _refuse_to_go_back(self, source: str) -> None:
        if self._iter > self.max_iters:
            unit, limit = ('max_epochs', self.max_epochs) if self.by_epoch else ('max_iters', self.max_iters)
            raise ValueError(
                f'{source} was written after {self._iter} iterations, and train_cfg.{unit}={limit} ends after '
                f'{self.max_iters}: there is nothing to go on with. Raise train_cfg.{unit}, or start a new run '
                'from these weights with load_from'
            )


@LOOPS.register_module()
class IterBasedTrainLoop(_TrainLoop):
    """Trains for a number of iterations, see :class:`_TrainLoop`; hooks take them for one epoch, as in mmengine.

    Args:
        runner: the runner.
        dataloader: a dataloader, or the config of one, whose sampler can ``seek`` (``InfiniteSampler``).
        max_iters: number of iterations.
        val_begin: first iteration after which to validate. The last iteration is always followed by it.
        val_interval: iterations from one validation to the next; None for a tenth of ``max_iters``.
        dynamic_intervals: pairs (iteration, val_interval from there on).
        patience: this many iterations without finite numbers in a row end the run with a
            :class:`NonFiniteError`; what is needed to look into it is saved in the work dir.
    """

    by_epoch = False
    max_epochs = 1

    def __init__(
        self,
        runner,
        dataloader: torch.utils.data.DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int | None = None,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        patience: int = 10,
    ) -> None:
        if val_interval is None and isinstance(max_iters, (int, float)):
            val_interval = max(int(max_iters) // 10, 1)
        super().__init__(runner, dataloader, max_iters, val_begin, val_interval, dynamic_intervals, patience)
        self.iters_per_epoch = int(max_iters)
        images, batch = len(self.dataloader.dataset), runner.batch_plan.global_batch
        self.iters_per_pass = math.ceil(images / batch)  # over the dataset, for schedules that are stated in epochs

    def _epoch_is_over(self) -> bool:
        return self._iter >= self.max_iters or self.stop_training

    def _steps_done(self) -> int:
        return self._iter

    def enter(self, meta: dict, source: str) -> None:
        """Go on from a checkpoint's ``meta``, whichever loop wrote it.

        Raises:
            ValueError: that is later than this loop ends.
        """
        self._iter, self._epoch = meta['iter'], 0
        self._refuse_to_go_back(source)


@LOOPS.register_module()
class EpochBasedTrainLoop(_TrainLoop):
    """Trains for a number of epochs, each of them the dataset in a new order, see :class:`_TrainLoop`.

    An epoch has as many whole global batches as the dataset gives, so that any number of processes sees the same
    ones; the images that remain, other ones in each epoch, are left out of it, and the log says how many.

    Args:
        runner: the runner.
        dataloader: a dataloader, or the config of one, whose sampler can ``seek`` (``InfiniteSampler``).
        max_epochs: number of epochs.
        val_begin: first epoch after which to validate. The last epoch is always followed by it.
        val_interval: epochs from one validation to the next.
        dynamic_intervals: pairs (epoch, val_interval from there on).
        patience: as for :class:`IterBasedTrainLoop`.

    Raises:
        ValueError: the dataset is smaller than one global batch.
    """

    by_epoch = True

    def __init__(
        self,
        runner,
        dataloader: torch.utils.data.DataLoader | dict,
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        patience: int = 10,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals, patience)
        self.max_epochs = int(max_epochs)
        images, batch = len(self.dataloader.dataset), runner.batch_plan.global_batch
        self.iters_per_epoch = self.iters_per_pass = images // batch
        if not self.iters_per_epoch:
            raise ValueError(
                f'the training set has {images} images, which is less than one global batch of {batch}: an epoch would '
                'have no iteration. Lower train_dataloader.global_batch_size (or batch_size), or count iterations: '
                "train_cfg=dict(type='IterBasedTrainLoop', max_iters=...)"
            )
        self.sampler.epoch_length = self.iters_per_epoch * batch
        left_out = images - self.sampler.epoch_length
        runner.logger.info(
            f'one epoch is {self.iters_per_epoch} iterations'
            + (f'; {left_out} of {images} images, in each epoch others, do not fill a batch' if left_out else '')
        )

    def _epoch_is_over(self) -> bool:
        return self._iter >= (self._epoch + 1) * self.iters_per_epoch

    def _steps_done(self) -> int:
        """Epochs done if one has just ended, otherwise 0, as no validation is due in the middle of one."""
        return self._epoch if self._iter == self._epoch * self.iters_per_epoch else 0

    def enter(self, meta: dict, source: str) -> None:
        """Go on from a checkpoint's ``meta``, whichever loop wrote it.

        Where an epoch had another number of iterations (another batch, dataset or loop), iterations are counted anew,
        so that epochs, schedules and the images already seen in this epoch go on as they were.

        Raises:
            ValueError: that is later than this loop ends.
        """
        self._iter, self._epoch = meta['iter'], meta['epoch']
        if 'iters_per_epoch' in meta:
            before = meta['iters_per_epoch']
        elif self._epoch and os.path.basename(source).startswith('epoch_'):  # by mmengine, which ends epochs elsewhere
            before = self._iter // self._epoch
        elif 0 <= self._iter - self._epoch * self.iters_per_epoch <= self.iters_per_epoch:
            before = self.iters_per_epoch
        else:
            before = None
        if before is None:  # written by a loop without epochs
            self._epoch = self._iter // self.iters_per_epoch
        elif before != self.iters_per_epoch:
            part = (self._iter - self._epoch * before) / before
            self._iter = self._epoch * self.iters_per_epoch + int(part * self.iters_per_epoch)
            self.runner.logger.warning(
                f'an epoch had {before} iterations in {source} and has {self.iters_per_epoch} now: training goes on in '
                f'epoch {self._epoch + 1}, which is iteration {self._iter} by the new count'
            )
        self._refuse_to_go_back(source)


def _join(batches: list):
    """One batch of several collated dicts, for hooks; batches of another form are handed on as a list."""
    if len(batches) == 1:
        return batches[0]
    if not isinstance(batches[0], dict):
        return batches
    return {key: [sample for batch in batches for sample in batch[key]] for key in batches[0]}


def _share_buffers(model: torch.nn.Module) -> None:
    """Give all processes the first one's running statistics, which are what a checkpoint holds."""
    if is_model_wrapper(model):
        for buffer in model.buffers():
            broadcast(buffer)
