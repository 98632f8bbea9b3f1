"""An exported network in a segmentor's place."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from torch import Tensor

from mmseg.engine.config.tta import innermost_datasets
from mmseg.models import SegDataPreProcessor
from mmseg.models.segmentors.predictor import Predictor, check_test_cfg
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .sessions import open_session


class _Exported(BaseModel):
    """A file of ``lrformer export`` in the place of a segmentor, on the CPU, without parameters that PyTorch knows of.

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
        facts, normalises = session.metadata, session.metadata.input == 'normalised'
        size = (facts.height, facts.width)
        padding = dict(size=size) if all(size) else dict(size_divisor=facts.size_divisor)
        super().__init__(
            SegDataPreProcessor(
                mean=facts.mean if normalises and facts.mean else None,
                std=facts.std if normalises and facts.mean else None,
                bgr_to_rgb=facts.channel_order == 'RGB',
                test_cfg=padding if normalises else None,
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
            outputs = self.run(inputs)
            return outputs[0] if len(outputs) == 1 else outputs
        raise ValueError(f'{self.file}: an exported network predicts only; mode={mode!r} needs the model in PyTorch')

    def run(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """B x channels x H x W from the data preprocessor -> the file's outputs."""
        self._check_size(*inputs.shape[-2:])
        arrays = inputs.detach().cpu().numpy()
        if self.metadata.input == 'image':
            arrays = np.ascontiguousarray(arrays.transpose(0, 2, 3, 1).astype(np.uint8))
        parts = [self.session.run(batch) for batch in _batches(arrays, self.metadata.batch)]
        outputs = [torch.from_numpy(np.concatenate(part)[: len(inputs)]) for part in zip(*parts, strict=True)]
        return tuple(output.to(inputs.device) for output in outputs)

    def _check_size(self, height: int, width: int) -> None:
        facts, fixed = self.metadata, (self.metadata.height, self.metadata.width)
        came = f'this one comes to it as {height}x{width}'
        if any(limit and side > limit for side, limit in zip((height, width), fixed, strict=True)):
            raise ValueError(
                f'{self.file} was exported for images of {fixed[0]}x{fixed[1]} (height x width), and {came}: export '
                'without --size; or let windows of that size go over the image, '
                f"test_cfg=dict(mode='slide', crop_size={fixed}, stride={fixed})"
            )
        if any(limit and side < limit for side, limit in zip((height, width), fixed, strict=True)):
            raise ValueError(f'{self.file} was exported for images of {fixed[0]}x{fixed[1]} alone, and {came}')
        if min(height, width) < facts.min_side:
            raise ValueError(f'{self.file} takes images of sides from {facts.min_side} up, and {came}: enlarge it')


@MODELS.register_module()
class ExportedSegmentor(Predictor, _Exported):
    """A file that gives scores: they come to labels in the way of :class:`mmseg.models.EncoderDecoder`."""

    def _scores(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self(inputs)


@MODELS.register_module()
class ExportedLabeller(_Exported):
    """A file that takes images as they were loaded and gives their labels; it has no scores to hand out."""

    def predict(
        self, inputs: Tensor | list[Tensor], data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        if self.test_cfg['return_scores']:
            raise ValueError(f'{self.file} gives labels alone; for scores, export with --output scores')
        batches = [inputs] if isinstance(inputs, Tensor) else [image[None] for image in inputs]
        labels = [label for batch in batches for label in self.run(batch)[0].long()]
        samples = data_samples or [SegDataSample() for _ in labels]
        for sample, label in zip(samples, labels, strict=True):
            sample.pred_sem_seg = PixelData(data=label[None])
        return samples


def _batches(inputs: np.ndarray, size: int | None) -> Iterator[np.ndarray]:
    """Batches of that size, the last one filled up with repetitions; all at once where any will do."""
    if size is None:
        yield inputs
        return
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        yield part if len(part) == size else np.concatenate([part, *[part[-1:]] * (size - len(part))])


def use_exported(cfg: Config, file: str | Path, backend: str | None) -> None:
    """Let an exported file take the place of a config's model, and see images as the file wants them."""
    facts = open_session(file, backend).metadata
    kind = 'ExportedSegmentor' if facts.output in ('scores', 'masks') else 'ExportedLabeller'
    model = cfg.get('model') or {}
    cfg.model = dict(type=kind, file=str(file), backend=backend, test_cfg=model.get('test_cfg'))
    cfg.pop('data_preprocessor', None)  # the file has it
    cfg.compile = False
    if facts.input == 'image':  # it resizes them itself
        for dataset in innermost_datasets(cfg.test_dataloader.dataset):
            dataset['pipeline'] = [step for step in dataset['pipeline'] if not {'scale', 'scale_factor'} & set(step)]


def config_in(file: str | Path, backend: str | None) -> Config:
    """What ``init_model`` needs of a config, from what an exported file holds.

    Raises:
        ValueError: the file has no test pipeline; or see :func:`.sessions.open_session`.
    """
    facts = open_session(file, backend).metadata
    if facts.pipeline is None:
        raise ValueError(
            f'{file} has no test pipeline in it, as its config held more than plain data there: give the config, '
            f'init_model(CONFIG, {str(file)!r})'
        )
    dataset = dict(type='BaseSegDataset', pipeline=_with_tuples(facts.pipeline))
    model = dict(test_cfg=_with_tuples(facts.test_cfg))
    return Config(dict(default_scope='mmseg', model=model, test_dataloader=dict(dataset=dataset)))


def _with_tuples(value: object) -> object:
    """Plain data whose lists of numbers are tuples, as configs write sizes."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_with_tuples(item) for item in value]
        return tuple(items) if items and all(isinstance(item, (int, float)) for item in items) else items
    return value
