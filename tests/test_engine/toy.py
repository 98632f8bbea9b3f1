"""The smallest model, data and metric that a runner can work with."""

import os
import random
import signal
import uuid
from dataclasses import dataclass, replace

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from mmseg.registry import DATASETS, HOOKS, METRICS, MODELS


@dataclass
class ToySample:
    """What is known of an image."""

    index: int
    target: torch.Tensor
    prediction: torch.Tensor | None = None


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Sample i is a fixed random 3x8x8 image with a target; which samples were loaded is on record."""

    metainfo = dict(classes=('a', 'b'), palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(
        self, length: int = 10, data_root: str | None = None, noise: float = 0.0, broken: int | None = None
    ) -> None:
        self.noise = noise
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(length, 3, 8, 8, generator=generator)
        if broken is not None:
            self.images[broken] = torch.nan
        self.data_root = data_root
        self.loaded = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        self.loaded.append(index)
        image = self.images[index]
        if self.noise:  # of all generators that a pipeline may draw from
            image = image + self.noise * (torch.randn(3, 8, 8) + random.random() + np.random.rand())
        return dict(inputs=image, data_samples=ToySample(index, self.images[index].mean()))


@MODELS.register_module()
class ToyModel(BaseModel):
    """A convolution (and batch norm) whose mean is to match the target."""

    def __init__(self, norm: str | None = None, dropout: float = 0.0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        norms = {None: nn.Identity, 'BN': nn.BatchNorm2d, 'SyncBN': nn.SyncBatchNorm}
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), norms[norm](4))
        self.dropout = nn.Dropout(dropout)
        self.decode_head = nn.Conv2d(4, 1, 1)

    def init_weights(self) -> None:
        """The same start in every run and process, on every device."""
        generator = torch.Generator().manual_seed(2)
        for parameter in self.parameters():
            nn.init.normal_(start := torch.empty(parameter.shape), std=0.3, generator=generator)
            parameter.data.copy_(start)

    def forward(self, inputs: list, data_samples: list, mode: str = 'loss'):
        device = self.decode_head.weight.device
        output = self.decode_head(self.dropout(self.backbone(torch.stack(inputs).to(device)))).mean((1, 2, 3))
        if mode == 'predict':
            return [replace(s, prediction=value) for s, value in zip(data_samples, output, strict=True)]
        target = torch.stack([sample.target for sample in data_samples]).to(device)
        return dict(loss=(output - target).square().mean())


@METRICS.register_module()
class SeenMetric(BaseMetric):
    """Counts how often each sample was predicted."""

    metric_names = ['mIoU', 'most', 'least']

    def process(self, data_batch: dict, data_samples: list) -> None:
        self.results.extend(sample.index for sample in data_samples)

    def evaluate(self, size: int) -> dict:
        counts = torch.zeros(size, dtype=torch.long)
        for index in self.results:
            counts[index] += 1
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
        self.results.clear()
        return dict(mIoU=float(counts.float().mean()), most=int(counts.max()), least=int(counts.min()))

    def compute_metrics(self, results: list) -> dict:
        raise NotImplementedError('evaluate does it all')


@METRICS.register_module()
class ScriptedMetric(SeenMetric):
    """Returns the scores it was given, one a validation."""

    metric_names = ['mIoU']

    def __init__(self, scores: list) -> None:
        super().__init__()
        self.scores = list(scores)

    def evaluate(self, size: int) -> dict:
        return dict(mIoU=self.scores.pop(0))


@METRICS.register_module()
class ErrorMetric(BaseMetric):
    """How near predictions come to their targets."""

    metric_names = ['mIoU']

    def process(self, data_batch: dict, data_samples: list) -> None:
        self.results.extend(float((s.prediction.cpu() - s.target).abs()) for s in data_samples)

    def evaluate(self, size: int) -> dict:
        total = torch.tensor(sum(self.results), dtype=torch.float64)
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        self.results.clear()
        return dict(mIoU=-float(total) / size)

    def compute_metrics(self, results: list) -> dict:
        raise NotImplementedError('evaluate does it all')


@HOOKS.register_module()
class Fate(Hook):
    """What befalls a process in its first attempt, in the middle of a training iteration.

    Args:
        how: 'raise', or the name of a signal.
        iteration: in which, counted from 0.
        rank: whom.
    """

    def __init__(self, how: str, iteration: int, rank: int = 0) -> None:
        self.how, self.iteration, self.rank = how, iteration, rank

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        first_attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') == '0'
        if first_attempt and (self.rank, self.iteration) == (runner.rank, batch_idx):
            if self.how == 'raise':
                raise ArithmeticError('the toy is broken')
            os.kill(os.getpid(), getattr(signal, self.how))


def toy_config(work_dir, **changes) -> dict:
    """A whole config for a few iterations; ``changes`` replace its top-level keys."""
    loader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='ToyDataset', length=5),
    )
    cfg = dict(
        default_scope='mmseg',
        work_dir=str(work_dir),
        experiment_name=uuid.uuid4().hex,  # mmengine names a run's log and history by the second
        model=dict(type='ToyModel'),
        train_dataloader=dict(
            global_batch_size=4,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(type='ToyDataset', length=10),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=6, val_interval=3),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[dict(type='PolyLR', power=1.0, by_epoch=False)],
        val_dataloader=loader,
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='SeenMetric'),
        test_dataloader=loader,
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(type='SeenMetric'),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', save_best='mIoU'),
            progress=dict(type='EvalProgressHook'),
        ),
        log_processor=dict(by_epoch=False, window_size=1),
        randomness=dict(seed=3),
    )
    return {**cfg, **changes}
