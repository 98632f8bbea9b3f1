"""Training steps that a single bad batch cannot ruin."""

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper as _OptimWrapper

from mmseg.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(_OptimWrapper):
    """mmengine's, which leaves out a step whose loss or gradient is not finite; all processes leave it out together.

    Args:
        optimizer: the optimizer.
        accumulative_counts: passes per step; the training loop sets it.
        clip_grad: arguments of ``clip_grad_norm_``, or with ``type='value'`` of ``clip_grad_value_``.

    Attributes:
        skipped: whether the latest step was left out for that reason.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, accumulative_counts: int = 1, clip_grad: dict | None = None
    ) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)
        self.skipped = False
        self._losses_finite = []  # one for each pass since the latest step

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Add up gradients; ``kwargs`` go to ``Tensor.backward``."""
        self._losses_finite.append(loss.detach().isfinite())
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Clip and step, if the numbers are finite in all processes."""
        finite = torch.stack(self._losses_finite).all()
        self._losses_finite = []
        if self._checks_gradients():
            finite = finite & self._gradients_finite()
        finite = finite.int()
        all_reduce(finite, op='min')
        self.skipped = not finite.item()
        if not self.skipped:
            self._step(**kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: it is of other parameters.
        """
        theirs, ours = (
            [len(group['params']) for group in groups]
            for groups in (state_dict['param_groups'], self.optimizer.param_groups)
        )
        if theirs != ours:
            raise ValueError(
                f'the checkpoint trained {sum(theirs)} tensors in groups of {str(theirs)[1:-1]:.60}, this run trains '
                f'{sum(ours)} in groups of {str(ours)[1:-1]:.60}: to go on with it, restore what it froze '
                '(model.freeze, frozen_stages) and its paramwise_cfg; to train other parts, start from its weights '
                'with load_from instead of --resume'
            )
        super().load_state_dict(state_dict)

    def _step(self, **kwargs) -> None:
        super().step(**kwargs)

    def _checks_gradients(self) -> bool:
        return True

    def _gradients_finite(self) -> torch.Tensor:
        """By their norms, which cost one reading of each gradient."""
        gradients = [p.grad for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        return torch.stack(torch._foreach_norm(gradients)).isfinite().all()
