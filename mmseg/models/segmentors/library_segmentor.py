"""What segmentors share whose network is another library's."""

import importlib
from types import ModuleType

from torch import Tensor

from mmseg.structures import SegDataSample

from .base import BaseSegmentor, prefixed


class LibrarySegmentor(BaseSegmentor):
    """A ``network`` that scores pixels, under a :class:`~mmseg.models.decode_heads.ScoresHead` for its losses."""

    predicts_masks = False

    def _forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self._scores(inputs)

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict:
        return prefixed('decode', self.decode_head.loss_by_feat(self._scores(inputs), data_samples))

    def as_parameters(self, inputs: Tensor) -> Tensor:
        """In the network's precision: the preprocessor gives float32."""
        return inputs.to(next((p.dtype for p in self.network.parameters() if p.is_floating_point()), inputs.dtype))


def library(name: str, extra: str) -> ModuleType:
    """Imports a library that an extra of this package installs.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(f'{name} is not installed: pip install "lrformer[{extra}]"', name=name) from None
