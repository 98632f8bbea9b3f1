"""The part of a segmentor that goes into a file, as a module of tensors alone."""

from torch import Tensor, nn

from mmseg.models.layers import export_forms
from mmseg.models.segmentors import CascadeEncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor


class Network(nn.Module):
    """Normalised images B x channels x H x W -> what the head says of them, see ``Metadata.output``.

    Args:
        model: an EncoderDecoder.

    Raises:
        TypeError: it is none, or has a layer that no exported graph can hold.
    """

    inputs, axes, takes_bytes = ('image',), ('batch', 'channels', 'height', 'width'), False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_exportable(model)
        self.model = model
        self.of_masks = model.predicts_masks
        self.outputs = ('class_logits', 'mask_logits') if self.of_masks else ('scores',)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        with export_forms():
            return self.model._scores(image)


def check_exportable(model: nn.Module) -> None:
    if not isinstance(model, BaseSegmentor):
        raise TypeError(f'{type(model).__name__} cannot be exported: EncoderDecoder and other segmentors can')
    heads = model.decode_head if isinstance(model, CascadeEncoderDecoder) else [model.decode_head]
    for name, module in [(f'decode_head {i}', head) for i, head in enumerate(heads)] + list(model.named_modules()):
        if reason := getattr(module, 'not_exportable', None):
            raise TypeError(f'{name}: {type(module).__name__} cannot be exported: {reason}')
