"""The whole way inside of the graph: from an image as it was loaded to its labels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.models.layers import export_forms, interpolate_bilinear

from .graph import Network
from .resizing import resizes_of

HALF = 0.501  # rounds halves up, as cv2 does, and in every runtime: they are common, and each is off by its own 1e-6


class ImageNetwork(nn.Module):
    """Images as they were loaded, uint8 B x H x W x channels (colours as RGB) -> their labels B x H x W.

    Resizes to the network's input as the test pipeline does, to whole numbers each time as images of bytes are,
    normalises and pads, resizes the scores the way of every prediction, and takes the highest.

    Args:
        model: an EncoderDecoder with a SegDataPreProcessor.
        pipeline: the config's test pipeline, plain data.
        with_probability: give the probability of each label as well, float32 B x H x W.

    Raises:
        TypeError: the model is no EncoderDecoder.
        ValueError: the pipeline has a step that the graph cannot do; the message names it.
    """

    inputs, axes, takes_bytes = ('image',), ('batch', 'height', 'width', 'channels'), True

    def __init__(self, model: nn.Module, pipeline: Sequence[dict], with_probability: bool) -> None:
        super().__init__()
        network = Network(model)
        self.model, self.of_masks = model, network.of_masks
        self.resizes = resizes_of(pipeline)
        self.divisor = model.data_preprocessor.test_padding[1]
        self.with_probability = with_probability
        self.outputs = ('labels', 'probability') if with_probability else ('labels',)
        self.dtype = torch.uint8 if model.num_classes <= 255 else torch.int32

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        with export_forms():
            x = image.permute(0, 3, 1, 2).float()
            for resize in self.resizes:
                x = interpolate_bilinear(x, resize(*x.shape[-2:], x.device))
                x = (x + HALF).floor().clamp(max=255)
            scores = self.scores(self.normalise(x), *x.shape[-2:])
            if self.resizes:
                scores = interpolate_bilinear(scores, image.shape[1:3], self.model.align_corners)
            return self.decide(scores)

    def normalise(self, x: Tensor) -> Tensor:
        preprocessor = self.model.data_preprocessor
        if x.shape[1] == 3 and not preprocessor.reverse_channels:  # the network's colours are BGR
            x = x.flip(1)
        if preprocessor.normalize:
            x = (x - preprocessor.mean) / preprocessor.std
        if self.divisor:
            H, W = x.shape[-2:]
            x = F.pad(x, (0, -W % self.divisor, 0, -H % self.divisor), value=preprocessor.pad_val)
        return x

    def scores(self, x: Tensor, height: int, width: int) -> Tensor:
        """The network's input -> scores of its part that is image, B x classes x height x width."""
        said, size, align_corners = self.model._scores(x), x.shape[-2:], self.model.align_corners
        if self.of_masks:
            class_logits, masks = said
            masks = interpolate_bilinear(masks, size, align_corners).sigmoid()
            said = torch.einsum('bqc,bqhw->bchw', class_logits.softmax(dim=-1)[..., :-1], masks)
        else:
            said = interpolate_bilinear(said, size, align_corners)
        return said[..., :height, :width] if self.divisor else said

    def decide(self, scores: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Scores B x classes x H x W -> labels, and their probabilities if asked for."""
        if self.model.threshold is not None:
            of_one = scores[:, 0].sigmoid()
            labels = of_one > self.model.threshold
            probability = torch.where(labels, of_one, 1 - of_one)
        elif self.with_probability:
            probability, labels = (scores.clamp(max=1) if self.of_masks else scores.softmax(dim=1)).max(dim=1)
        else:
            labels = scores.argmax(dim=1)
        labels = labels.to(self.dtype)
        return (labels, probability) if self.with_probability else labels
