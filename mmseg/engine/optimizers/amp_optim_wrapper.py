"""Training in mixed precision, on CUDA and on the CPU."""

from contextlib import contextmanager

import torch
from torch import nn

from mmseg.registry import OPTIM_WRAPPERS

from ..amp import amp_dtype, autocast
from .optim_wrapper import OptimWrapper


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Forward passes under autocast; losses are scaled for float16, which needs it, and not for bfloat16.

    A step whose gradients overflow is left out by the scaler, which then lowers the scale; that is how a good
    scale is found, and not counted as ``skipped``. A loss that is not finite is, and so are such gradients once
    the scale is 1 or less and no longer to blame.

    Args:
        optimizer: the optimizer.
        dtype: 'bfloat16', 'float16' (CUDA only), or None for what the device is best at.
        loss_scale: for float16: 'dynamic', the first scale, or the arguments of ``torch.amp.GradScaler``.
        accumulative_counts: passes per step; the training loop sets it.
        clip_grad: arguments of ``clip_grad_norm_``, or with ``type='value'`` of ``clip_grad_value_``.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | None = None,
        loss_scale: str | float | dict = 'dynamic',
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
    ) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)
        self.dtype = amp_dtype(dtype)
        if not isinstance(loss_scale, dict):
            loss_scale = {} if loss_scale == 'dynamic' else {'init_scale': float(loss_scale)}
        self.loss_scaler = torch.amp.GradScaler('cuda', **loss_scale) if self.dtype is torch.float16 else None

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Add up gradients of the scaled loss; ``kwargs`` go to ``Tensor.backward``."""
        super().backward(self.loss_scaler.scale(loss) if self.loss_scaler else loss, **kwargs)

    def _checks_gradients(self) -> bool:
        return self.loss_scaler is None or self.loss_scaler.get_scale() <= 1

    def _step(self, **kwargs) -> None:
        if self.loss_scaler is None:
            super()._step(**kwargs)
            return
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    def state_dict(self) -> dict:
        """The optimizer's state, with the scaler's under ``loss_scaler``."""
        state = super().state_dict()
        return {**state, 'loss_scaler': self.loss_scaler.state_dict()} if self.loss_scaler else state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore :meth:`state_dict`, also that of a run in another precision."""
        state = dict(state_dict)
        scaler_state = state.pop('loss_scaler', None)
        if self.loss_scaler and scaler_state:
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state)

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Around the forward pass."""
        with super().optim_context(model), autocast(self.dtype):
            yield
