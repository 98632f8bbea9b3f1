"""An exported network in a segmentor's place."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmseg.models import SegDataPreProcessor
from mmseg.models.segmentors.predictor import Predictor, check_test_cfg
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .sessions import open_session


@MODELS.register_module()
class ExportedSegmentor(Predictor, BaseModel):
    """A file of ``lrformer export`` that predicts like :class:`mmseg.models.EncoderDecoder`.

    The runtime gives the network's scores, and they come to labels in the same way. Images are normalised and padded as
    the file says. It runs on the CPU, and has no parameters that PyTorch knows of.

    Args:
        file: the exported file.
        backend: 'onnxruntime' or 'openvino'; None for the one that belongs to the suffix.
        test_cfg: as for EncoderDecoder; None for the file's own.

    Attributes:
        metadata: what the file says about itself.

    Raises:
        FileNotFoundError, ModuleNotFoundError, ValueError: see :func:`.sessions.open_session`.
    """

    def __init__(self, file: str | Path, backend: str | None = None, test_cfg: dict | None = None) -> None:
        session = open_session(file, backend)
        facts = session.metadata
        size = (facts.height, facts.width)
        padding = dict(size=size) if all(size) else dict(size_divisor=facts.size_divisor)
        super().__init__(
            SegDataPreProcessor(
                mean=facts.mean or None,
                std=facts.std or None,
                bgr_to_rgb=facts.channel_order == 'RGB',
                test_cfg=padding,
            )
        )
        self.file, self.session, self.metadata = Path(file), session, facts
        self.num_classes, self.align_corners = facts.num_classes, facts.align_corners
        self.threshold, self.predicts_masks = facts.threshold, facts.output == 'masks'
        self.test_cfg = check_test_cfg(facts.test_cfg if test_cfg is None else test_cfg)
        self.dataset_meta = dict(classes=facts.classes, palette=facts.palette)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def forward(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None, mode: str = 'tensor'):
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self._scores(inputs)
        raise ValueError(f'{self.file}: an exported network predicts only; mode={mode!r} needs the model in PyTorch')

    def _scores(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        self._check_size(*inputs.shape[-2:])
        arrays = inputs.detach().cpu().numpy()
        parts = [self.session.run(batch) for batch in _batches(arrays, self.metadata.batch)]
        outputs = [torch.from_numpy(np.concatenate(part)[: len(inputs)]) for part in zip(*parts, strict=True)]
        outputs = [output.to(inputs.device) for output in outputs]
        return tuple(outputs) if self.predicts_masks else outputs[0]

    def _check_size(self, height: int, width: int) -> None:
        facts, fixed = self.metadata, (self.metadata.height, self.metadata.width)
        if any(limit and side > limit for side, limit in zip((height, width), fixed, strict=True)):
            raise ValueError(
                f'{self.file} was exported for images of {fixed[0]}x{fixed[1]} (height x width), and this one comes to '
                f'it as {height}x{width}: export without --size; or let windows of that size go over the image, '
                f"test_cfg=dict(mode='slide', crop_size={fixed}, stride={fixed})"
            )
        if min(height, width) < facts.min_side:
            raise ValueError(
                f'{self.file} takes images whose sides are {facts.min_side} or more, and this one comes to it as '
                f'{height}x{width}: enlarge it'
            )


def _batches(inputs: np.ndarray, size: int | None) -> Iterator[np.ndarray]:
    """Batches of that size, the last one filled up with repetitions; all at once where any will do."""
    if size is None:
        yield inputs
        return
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        yield part if len(part) == size else np.concatenate([part, *[part[-1:]] * (size - len(part))])


def model_config(file: str | Path, backend: str | None, test_cfg: dict | None = None) -> dict:
    """``model`` of a config that runs an exported file."""
    return dict(type='ExportedSegmentor', file=str(file), backend=backend, test_cfg=test_cfg)


def config_of(model: ExportedSegmentor, backend: str | None) -> Config:
    """What ``init_model`` puts on a model, from what an exported file holds.

    Raises:
        ValueError: the file has no test pipeline.
    """
    if model.metadata.pipeline is None:
        raise ValueError(
            f'{model.file} has no test pipeline in it, as its config held more than plain data there: give the config, '
            f'init_model(CONFIG, {str(model.file)!r})'
        )
    dataset = dict(type='BaseSegDataset', pipeline=_with_tuples(model.metadata.pipeline))
    return Config(
        dict(
            default_scope='mmseg',
            model=model_config(model.file, backend, model.test_cfg),
            test_dataloader=dict(dataset=dataset),
        )
    )


def _with_tuples(value: object) -> object:
    """Plain data whose lists of numbers are tuples, as configs write sizes."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_with_tuples(item) for item in value]
        return tuple(items) if items and all(isinstance(item, (int, float)) for item in items) else items
    return value
