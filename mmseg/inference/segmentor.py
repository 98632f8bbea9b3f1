"""From images to their labels: the config's pipeline, and the network."""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmseg.structures import SegDataSample

from .images import Image, describe
from .pipeline import ImagePipeline


class Prepared(NamedTuple):
    """An image that is ready for the network.

    Attributes:
        item: ``inputs`` and ``data_samples``, as the pipeline packs them.
        picture: the image as it was loaded, H x W [x C]; None where the pipeline hides it.
    """

    item: dict
    picture: np.ndarray | None


class Segmentor:
    """A model from :func:`mmseg.apis.init_model` at work; several threads may share one.

    Args:
        model: with ``cfg``; it is left as it is.
        scores: give the scores of all classes, too.

    Raises:
        ValueError: the model cannot give scores, or its config has no test pipeline.
    """

    def __init__(self, model: nn.Module, scores: bool = False) -> None:
        if not hasattr(model, 'cfg'):
            raise ValueError(f'{type(model).__name__} has no cfg: build it with init_model, or set model.cfg')
        self.model = _with_scores(model) if scores else model
        self.pipeline = ImagePipeline(model.cfg)
        self.channels = _channels(model)

    def prepare(self, image: Image) -> Prepared:
        """Load and transform one image; any thread may.

        Raises:
            TypeError, ValueError, OSError: it is no image that the model takes; the message says what was expected.
        """
        item, picture = self.pipeline.with_picture(image)
        for inputs in item['inputs'] if isinstance(item['inputs'], list) else [item['inputs']]:
            if self.channels is not None and len(inputs) != self.channels:
                raise ValueError(
                    f'{describe(image)} comes to the network with {len(inputs)} channels, but the model takes '
                    f'{self.channels} (the values of data_preprocessor.mean): see color_type of LoadImageFromFile'
                )
        return Prepared(item, picture)

    def predict(self, batch: list[Prepared]) -> list[SegDataSample]:
        """Segment prepared images; those of one input size go through the network together."""
        with torch.no_grad():
            return self.model.test_step(pseudo_collate([prepared.item for prepared in batch]))

    def samples(self, images: Iterable[Image], batch_size: int = 1) -> Iterator[SegDataSample]:
        """Segment images, ``batch_size`` at a time, each loaded when its turn comes."""
        images = iter(images)
        while batch := [self.prepare(image) for image in islice(images, batch_size)]:
            yield from self.predict(batch)


def _with_scores(model: nn.Module) -> nn.Module:
    """The same model, and the same weights, but its predictions have ``seg_logits``."""
    settings = getattr(model, 'test_cfg', None)
    if not isinstance(settings, dict) or 'return_scores' not in settings:
        raise ValueError(f'{type(model).__name__} has no test_cfg with return_scores, so it cannot give scores')
    model = copy.copy(model)  # other threads may be using it without
    model.test_cfg = {**settings, 'return_scores': True}
    return model


def _channels(model: nn.Module) -> int | None:
    """How many channels the model's images have, as far as that can be told."""
    mean = getattr(getattr(model, 'data_preprocessor', None), 'mean', None)
    if isinstance(mean, Tensor) and mean.numel() > 1:
        return mean.numel()
    backbone = getattr(model, 'backbone', nn.Module())
    return next((layer.in_channels for layer in backbone.modules() if isinstance(layer, nn.Conv2d)), None)
