"""Training, validation and test loops."""

import bisect
import os

import torch
from mmengine.dist import barrier, broadcast, get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmengine.runner import TestLoop as _TestLoop
from mmengine.runner import ValLoop as _ValLoop
from mmengine.runner.utils import calc_dynamic_intervals
from mmengine.structures import BaseDataElement

from mmseg.checkpoints import to_plain
from mmseg.registry import LOOPS
from mmseg.utils.atomic_file import atomic_write

from ..amp import amp_dtype, autocast
from ..samplers.sample_seed import PROCESS, seed_generators
from .preemption import Preempted, all_leave, asked_to_leave


@LOOPS.register_module()
class IterBasedTrainLoop(BaseLoop):
    """Trains for a number of iterations, each of them one step of the optimizer on one whole global batch.

    The batch may be spread over processes and over several passes whose gradients add up
    (:class:`~mmseg.engine.runner.BatchPlan`); neither changes what an iteration is. A resumed run enters the
    stream of samples where the earlier one left it, and loads nothing on the way there.

    Every iteration seeds each process's generators (Python, NumPy, torch on CPU and CUDA) from (seed, rank,
    iteration). So what stochastic depth or dropout draw in an iteration does not depend on what was drawn before
    it: a resumed run repeats the uninterrupted one bit for bit without generator states of every process in
    the checkpoint, and validation or a hook that draws numbers in between changes nothing. A validation that was
    due after the checkpoint's iteration and did not end is caught up on.

    A step whose loss or gradient is not finite is left out (:class:`~mmseg.engine.optimizers.OptimWrapper`), and
    so is what its batch did to running statistics. SIGTERM ends training after the iteration at hand, with a
    checkpoint (:mod:`.preemption`).

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
        super().__init__(runner, dataloader)
        self.sampler = self.dataloader.sampler
        if not hasattr(self.sampler, 'seek'):
            raise TypeError(
                f'IterBasedTrainLoop needs a sampler that can seek, not {type(self.sampler).__name__}: '
                "write train_dataloader.sampler=dict(type='InfiniteSampler', shuffle=True)"
            )
        if max_iters < 1 or int(max_iters) != max_iters:
            raise ValueError(f'train_cfg.max_iters must be a whole number of at least 1, not {max_iters!r}')
        if patience < 1:
            raise ValueError(f'train_cfg.patience must be at least 1, not {patience!r}')
        self._max_iters = int(max_iters)
        self.patience = patience
        self._iter = 0
        self._epoch = 0
        self.val_begin = val_begin
        self.val_interval = val_interval or max(self._max_iters // 10, 1)
        self.stop_training = False  # EarlyStoppingHook sets it
        self._milestones, self._intervals = calc_dynamic_intervals(self.val_interval, dynamic_intervals)
        runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)

    @property
    def max_iters(self) -> int:
        return self._max_iters

    @property
    def max_epochs(self) -> int:
        """All iterations count as one epoch, as in mmengine."""
        return 1

    @property
    def iter(self) -> int:
        """Iterations done so far."""
        return self._iter

    @property
    def epoch(self) -> int:
        return self._epoch

    def run(self) -> torch.nn.Module:
        """Train to the last iteration and return the model."""
        runner = self.runner
        plan = runner.batch_plan
        runner.logger.info(str(plan))
        self._accumulate(plan.accumulation)
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        self.sampler.seek(self._iter * plan.global_batch)
        runner.model.train()
        self._buffers = _Buffers(runner.model)
        if runner.message_hub.get_info('last_validation') != self._iter:
            self._validate_if_due()
        batches = iter(self.dataloader)
        while self._iter < self._max_iters and not self.stop_training:
            self.run_iter([next(batches) for _ in range(plan.accumulation)])
            self._leave_if_asked()
            self._validate_if_due()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model

    def run_iter(self, batches: list) -> None:
        """One step of the optimizer on this process's share of a global batch, in equal parts."""
        runner = self.runner
        whole = _join(batches)
        seed_generators(runner.seed, get_rank(), self._iter, PROCESS)
        runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=whole)
        self._buffers.keep()
        logs = [runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper) for batch in batches]
        outputs = {key: sum(log[key].detach() for log in logs) / len(logs) for key in logs[0]}
        self._count_skipped(outputs, batches)
        runner.call_hook('after_train_iter', batch_idx=self._iter, data_batch=whole, outputs=outputs)
        self._iter += 1

    def _validate_if_due(self) -> None:
        if self.runner.val_loop is None or self._iter == 0:
            return
        self.val_interval = self._intervals[bisect.bisect(self._milestones, self._iter + 1) - 1]
        due = self._iter >= self.val_begin and self._iter % self.val_interval == 0
        if due or self._iter == self._max_iters:
            _share_buffers(self.runner.model)
            self.runner.val_loop.run()
            self.runner.model.train()
            self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        if all_leave():
            self.runner.logger.warning(f'asked to leave by SIGTERM after iteration {self._iter}')
            self.runner.call_hook('before_leaving')
            raise Preempted

    def _count_skipped(self, outputs: dict, batches: list) -> None:
        hub = self.runner.message_hub
        in_a_row = hub.get_info('skipped_in_a_row', 0)
        if not getattr(self.runner.optim_wrapper, 'skipped', False):  # wrappers of other packages do not look
            if in_a_row:
                hub.update_info('skipped_in_a_row', 0)
            return
        self._buffers.put_back()
        in_all = hub.get_info('skipped_steps', 0) + 1
        hub.update_info('skipped_steps', in_all)
        hub.update_info('skipped_in_a_row', in_a_row + 1)
        bad = [name for name, value in outputs.items() if not value.isfinite().all()]
        what = f'not finite: {", ".join(bad) or "a gradient, or another process"}'
        self.runner.logger.warning(
            f'iteration {self._iter + 1} left out, {what} ({in_a_row + 1} in a row, {in_all} in all)'
        )
        if in_a_row + 1 >= self.patience:
            folder = self._save_for_debugging(batches)
            raise NonFiniteError(
                f'{what}, in {in_a_row + 1} iterations in a row (train_cfg.patience={self.patience}). '
                f'{folder} holds the state before iteration {self._iter + 1} with the config, and its batch'
            )

    def _save_for_debugging(self, batches: list) -> str:
        """Every process its batch, the first one the rest."""
        runner = self.runner
        folder = os.path.join(runner.work_dir, f'not_finite_iter_{self._iter + 1}')
        os.makedirs(folder, exist_ok=True)
        with atomic_write(os.path.join(folder, f'batch_rank_{get_rank()}.pth')) as file:
            torch.save(to_plain([_open(batch) for batch in batches]), file)
        runner.save_checkpoint(folder, 'state.pth', meta=dict(epoch=self._epoch, iter=self._iter))
        barrier()  # or the first to leave would have the launcher end those that still write
        return folder

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
        wrapper.initialize_count_status(self.runner.model, self._iter * passes, self._max_iters * passes)


class NonFiniteError(RuntimeError):
    """Training has come to numbers that are not finite, and does not leave them."""


class _Buffers:
    """A model's running statistics before an iteration, for the case that they must not learn from it."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.buffers = list(model.buffers())
        self.kept = [torch.empty_like(buffer) for buffer in self.buffers]

    def keep(self) -> None:
        if self.buffers:
            torch._foreach_copy_(self.kept, self.buffers)

    def put_back(self) -> None:
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.kept)


def _open(value: object) -> object:
    """Data elements among the dicts and lists of a batch as dicts of what they hold."""
    if isinstance(value, BaseDataElement):
        return {key: _open(item) for key, item in value.all_items()}
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_open(item) for item in value]
    return value


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


class _Evaluation:
    """What validation and test share: optional mixed precision around the network."""

    def __init__(self, runner, dataloader, evaluator, fp16: bool = False, amp: str | None = None) -> None:
        """Args:
        runner: the runner.
        dataloader: a dataloader or the config of one.
        evaluator: an evaluator, or the config of one or of its metrics.
        fp16: short for ``amp='float16'``, as in mmengine.
        amp: 'bfloat16', 'float16', 'auto' (what the device is best at), or None for full precision.
        """
        super().__init__(runner, dataloader, evaluator)
        amp = amp or ('float16' if fp16 else None)
        self.dtype = amp_dtype(None if amp == 'auto' else amp) if amp else None

    def _run_iter(self, mode: str, idx: int, data_batch) -> None:
        runner = self.runner
        runner.call_hook(f'before_{mode}_iter', batch_idx=idx, data_batch=data_batch)
        with torch.no_grad(), autocast(self.dtype):
            outputs = getattr(runner.model, f'{mode}_step')(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        runner.call_hook(f'after_{mode}_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)


@LOOPS.register_module()
class ValLoop(_Evaluation, _ValLoop):
    """Validation during training, see :class:`_Evaluation`."""

    def run(self) -> dict:
        """Validate the model and return the metrics by name.

        Asked to leave by SIGTERM, it does so at once if the iteration that it validates is on the disk: a
        resumed run validates it again. Otherwise it validates to the end first.
        """
        runner = self.runner
        saved = runner.message_hub.get_info('keep_ckpt_ids', [])[-1:] == [runner.iter]
        runner.call_hook('before_val')
        runner.call_hook('before_val_epoch')
        runner.model.eval()
        for idx, data_batch in enumerate(self.dataloader):
            if saved and asked_to_leave():
                break
            self.run_iter(idx, data_batch)
        if saved and all_leave():
            runner.logger.warning(f'asked to leave by SIGTERM while validating iteration {runner.iter}')
            raise Preempted
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        runner.message_hub.update_info('last_validation', runner.iter)
        runner.call_hook('after_val_epoch', metrics=metrics)
        runner.call_hook('after_val')
        return metrics

    def run_iter(self, idx: int, data_batch) -> None:
        self._run_iter('val', idx, data_batch)


@LOOPS.register_module()
class TestLoop(_Evaluation, _TestLoop):
    """Test of a checkpoint, see :class:`_Evaluation`."""

    __test__ = False  # its name starts with 'Test', but it is none of pytest's

    def run_iter(self, idx: int, data_batch) -> None:
        self._run_iter('test', idx, data_batch)
