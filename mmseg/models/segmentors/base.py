"""What all segmentors share that can be trained: modes, preprocessing, frozen parts."""

from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel, revert_sync_batchnorm
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ..utils import PretrainedModule, describe_trainable, freeze_parts
from .predictor import Predictor, check_test_cfg


class BaseSegmentor(Predictor, PretrainedModule, BaseModel):
    """``model(inputs, data_samples, mode)`` takes B x channels x H x W and returns, by mode, 'loss': the losses by
    name, 'predict': the data samples with ``pred_sem_seg`` at each image's own size, 'tensor': what the network
    gives. ``predict`` also takes a list of images of different sizes.

    A class that derives from this builds its parts, ``decode_head`` among them, and ends its constructor with
    :meth:`complete`; it writes ``loss``, ``_forward`` and ``_scores``.
    """

    def __init__(
        self, data_preprocessor: dict | nn.Module | None, test_cfg: dict | None, init_cfg: dict | None
    ) -> None:
        if isinstance(data_preprocessor, dict):
            data_preprocessor = MODELS.build(data_preprocessor)  # mmengine's BaseModel would not look in our scope
        super().__init__(data_preprocessor, init_cfg)
        self.test_cfg = check_test_cfg(test_cfg)

    def complete(self, freeze: str | Sequence[str]) -> None:
        """What depends on the parts: the head's facts, and which parts do not learn."""
        self.num_classes, self.align_corners = self.decode_head.num_classes, self.decode_head.align_corners
        self.out_channels = self.decode_head.out_channels
        self.frozen = [freeze] if isinstance(freeze, str) else freeze
        freeze_parts(self, self.frozen)
        if not torch.cuda.is_available():
            revert_sync_batchnorm(self)  # it is for several GPUs; elsewhere a BatchNorm is the same
        if not all(parameter.requires_grad for parameter in self.parameters()):
            print_log(describe_trainable(self), logger='current')

    def train(self, mode: bool = True) -> 'BaseSegmentor':
        super().train(mode)
        freeze_parts(self, self.frozen)
        return self

    @property
    def threshold(self) -> float | None:
        """Of the probability of class 1, where the head gives that alone (``out_channels=1``)."""
        return getattr(self.decode_head, 'threshold', None)

    def forward(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None, mode: str = 'tensor'):
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self._forward(inputs)
        raise ValueError(f"{type(self).__name__}: mode={mode!r} is not 'loss', 'predict' or 'tensor'")

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # Published checkpoints may carry the normalisation, which here is part of the config alone.
        for name in [name for name in state_dict if name.startswith(f'{prefix}data_preprocessor.')]:
            del state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *args)


def prefixed(prefix: str, losses: dict) -> dict:
    return {f'{prefix}.{name}': value for name, value in losses.items()}
