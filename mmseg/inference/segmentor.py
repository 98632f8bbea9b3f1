"""From images to their labels: the config's pipeline, and the network."""

import copy
import difflib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmseg.engine.amp import autocast
from mmseg.models import SegTTAModel
from mmseg.models.segmentors.scores import ImageScores, MeanScores
from mmseg.structures import SegDataSample
from mmseg.visualization.local_visualizer import spread_palette

from .images import Image, as_picture, describe
from .pipeline import ImagePipeline
from .result import Classes, Result

UNSURE, GREY = 'unsure', (128, 128, 128)


class Prepared(NamedTuple):
    """An image that is ready for the network.

    Attributes:
        item: ``inputs`` and ``data_samples``, as the pipeline packs them.
        picture: the image itself, H x W x 3, BGR, uint8; None unless asked for.
    """

    item: dict
    picture: np.ndarray | None

    @property
    def shape(self) -> tuple[int, ...]:
        """What images must have in common to share a batch: the size of the network's input."""
        inputs = self.item['inputs']
        return tuple(inputs.shape) if isinstance(inputs, Tensor) else (len(inputs), *inputs[0].shape)


class Segmentor:
    """A model from :func:`mmseg.apis.init_model` at work; several threads may share one.

    Whatever has ``prepare``, ``segment`` and ``classes`` can take its place, for instance one that cuts large images
    into tiles.

    Args:
        model: with ``cfg``; it is left as it is.
        scores: give the scores of all classes, too.
        only: names of the classes that are wanted; pixels of others get no label.
        threshold: pixels whose class has a lower probability get the label 'unsure', one after the last class.
        amp: compute in this half precision (:func:`mmseg.engine.amp.amp_dtype`).
        meta: ``classes`` and ``palette`` in place of the model's ``dataset_meta``.
        tta: see each image at six sizes, flipped and unflipped (:mod:`mmseg.engine.config.tta`).

    Raises:
        ValueError: the model cannot give scores, its config has no test pipeline, or a class has another name.
    """

    def __init__(
        self,
        model: nn.Module,
        scores: bool = False,
        only: Sequence[str] | None = None,
        threshold: float | None = None,
        amp: torch.dtype | None = None,
        meta: dict | None = None,
        tta: bool = False,
    ) -> None:
        if not hasattr(model, 'cfg'):
            raise ValueError(f'{type(model).__name__} has no cfg: build it with init_model, or set model.cfg')
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f'threshold={threshold} is no probability: it lies between 0 and 1')
        self.scores, self.threshold, self.amp = scores, threshold, amp
        self.model = _with_scores(model) if scores or threshold is not None else model
        self.cfg, self.tta, self.has_coarse_scores = model.cfg, tta, hasattr(model, 'image_scores')
        if tta:
            self.model = SegTTAModel(self.model)
        self.pipeline = self.pipeline_of()
        self.channels = _channels(model)
        self.classes = _classes(model, meta, unsure=threshold is not None)
        self.unwanted = [] if only is None else _unwanted(self.classes.names, only)

    def prepare(self, image: Image, picture: bool = False) -> Prepared:
        """Load and transform one image, and keep its picture to draw on if asked to; any thread may.

        Raises:
            TypeError, ValueError, OSError: it is no image that the model takes; the message says what was expected.
        """
        item, loaded = self.pipeline.with_picture(image)
        for inputs in item['inputs'] if isinstance(item['inputs'], list) else [item['inputs']]:
            if self.channels is not None and len(inputs) != self.channels:
                raise ValueError(
                    f'{describe(image)} comes to the network with {len(inputs)} channels, but the model takes '
                    f'{self.channels} (the values of data_preprocessor.mean): see color_type of LoadImageFromFile'
                )
        if not picture:
            return Prepared(item, None)
        return Prepared(item, as_picture(self.pipeline.picture(image) if loaded is None else loaded))

    def pipeline_of(self, own_size: bool = False) -> ImagePipeline:
        """The pipeline of its images; ``own_size`` leaves them at their own size."""
        return ImagePipeline(self.cfg, own_size, self.tta)

    def scores_of(self, batch: Sequence[dict]) -> list[ImageScores | MeanScores]:
        """What the network says of images from :meth:`pipeline_of`, still coarse; see ``has_coarse_scores``."""
        model, data = self.model, pseudo_collate(list(batch))
        with torch.no_grad(), autocast(self.amp):
            if isinstance(model, SegTTAModel):
                return model.mean_scores(data)
            data = model.data_preprocessor(data, False)
            return list(model.image_scores(data['inputs'], data['data_samples']))

    def predict(self, batch: Sequence[Prepared]) -> list[SegDataSample]:
        """Segment prepared images; those of one input size go through the network together."""
        with torch.no_grad(), autocast(self.amp):
            return self.model.test_step(pseudo_collate([prepared.item for prepared in batch]))

    def segment(self, batch: Sequence[Prepared], names: Sequence[str], sources: Sequence[str]) -> Iterator[Result]:
        """The same, as results, in order."""
        samples = self.predict(batch)
        for prepared, sample, name, source in zip(batch, samples, names, sources, strict=True):
            wanted = self.scores or self.threshold is not None
            labels, scores = self.finish(sample.seg_logits.data if wanted else None, sample.pred_sem_seg.data[0])
            yield Result(name, labels, self.classes, prepared.picture, scores, source)

    def samples(self, images: Iterable[Image], batch_size: int = 1) -> Iterator[SegDataSample]:
        """Segment images, ``batch_size`` at a time, each loaded when its turn comes."""
        check_batch_size(batch_size)
        images = iter(images)
        while batch := [self.prepare(image) for image in islice(images, batch_size)]:
            yield from self.predict(batch)

    def finish(self, seg_logits: Tensor | None, labels: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Scores (if any are needed) and labels -> labels as results have them, and probabilities if asked for."""
        probabilities = None
        if self.scores or self.threshold is not None:
            probabilities = _probabilities(self.model, seg_logits)
        if self.threshold is not None:
            highest = probabilities.gather(0, labels[None].clamp(max=len(probabilities) - 1))[0]
            labels = labels.masked_fill(highest < self.threshold, len(self.classes.names) - 1)
        for unwanted in self.unwanted:
            labels = labels.masked_fill(labels == unwanted, self.classes.nothing)
        scores = probabilities.half().cpu().numpy() if self.scores else None
        return labels.cpu().numpy().astype(self.classes.dtype), scores


def check_batch_size(batch_size: int) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f'batch_size={batch_size!r}: it must be a whole number, 1 or more')


def _probabilities(model: nn.Module, scores: Tensor) -> Tensor:
    """``seg_logits`` -> a probability for each class, classes x H x W."""
    averaged = isinstance(model, SegTTAModel)
    model = model.module if averaged else model
    if getattr(model, 'threshold', None) is not None:  # of class 1 alone
        return torch.cat([1 - scores, scores])
    if getattr(model, 'predicts_masks', False):  # sums over queries of what is one already
        return scores.clamp(max=1)
    return scores if averaged else scores.softmax(dim=0)


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


def _classes(model: nn.Module, meta: dict | None, unsure: bool) -> Classes:
    """Names and colours of all classes that the model tells apart, made up where there are none."""
    meta = meta or getattr(model, 'dataset_meta', None) or {}
    stated = {key: () if meta.get(key) is None else meta[key] for key in ('classes', 'palette')}
    names, palette = tuple(stated['classes']), np.array(stated['palette'], dtype=np.uint8).reshape(-1, 3)
    count = max(getattr(model, 'num_classes', 0), len(names))
    names += tuple(f'class {i}' for i in range(len(names), count))
    palette = np.concatenate([palette, spread_palette(count)[len(palette) :]])[:count]
    if unsure:
        names, palette = (*names, UNSURE), np.concatenate([palette, np.array([GREY], np.uint8)])
    return Classes(names, palette, 255 if count < 255 else 65535)


def _unwanted(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'its classes are {", ".join(names)}'
            raise ValueError(f'the model has no class {name!r}; {hint}')
    return [i for i, name in enumerate(names) if name not in wanted and name != UNSURE]
