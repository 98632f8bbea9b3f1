"""The part of a segmentor that goes into a file, as a module of tensors alone."""

from torch import Tensor, nn

from mmseg.models.layers import export_forms
from mmseg.models.segmentors.base import BaseSegmentor


class Network(nn.Module):
    """Normalised images B x channels x H x W -> what the head says of them, see ``Metadata.output``.

    Args:
        model: a segmentor of this package.

    Raises:
        TypeError: it is none.
    """

    inputs, axes, takes_bytes = ('image',), ('batch', 'channels', 'height', 'width'), False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, BaseSegmentor):
            raise TypeError(f'{type(model).__name__} cannot be exported; EncoderDecoder and other segmentors can')
        self.model = model
        self.of_masks = model.predicts_masks
        self.outputs = ('class_logits', 'mask_logits') if self.of_masks else ('scores',)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        with export_forms():
            return self.model._scores(image)
