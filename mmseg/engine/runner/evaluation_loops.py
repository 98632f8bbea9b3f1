"""Validation and test loops."""

import torch
from mmengine.runner import TestLoop as _TestLoop
from mmengine.runner import ValLoop as _ValLoop

from mmseg.registry import LOOPS

from ..amp import amp_dtype, autocast, best_dtype
from ..processes.preemption import all_leave, asked_to_leave


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
        if not len(self.dataloader.dataset):
            raise ValueError(f'the dataset of {type(self).__name__} is empty: there is nothing to measure')
        amp = amp or ('float16' if fp16 else None)
        self.dtype = best_dtype() if amp == 'auto' else amp_dtype(amp) if amp else None

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

        Asked to leave by a signal, it does so at once if the iteration that it validates is on the disk: a
        resumed run validates it again. Otherwise it validates to the end first.
        """
        runner = self.runner
        saved = runner.message_hub.get_info('saved_iter') == runner.iter
        runner.call_hook('before_val')
        runner.call_hook('before_val_epoch')
        runner.model.eval()
        for idx, data_batch in enumerate(self.dataloader):
            if saved and asked_to_leave():
                break
            self.run_iter(idx, data_batch)
        if saved and (leave := all_leave()):
            runner.logger.warning(f'asked to leave by {leave.asked_by} while validating iteration {runner.iter}')
            raise leave
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
