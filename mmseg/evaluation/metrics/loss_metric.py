"""Losses on validation images."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmseg.registry import METRICS, MODELS

EPS = 1e-6  # probabilities of a single score come back to scores between its logit and that of 1 - EPS


@METRICS.register_module()
class LossMetric(BaseMetric):
    """The mean over images of losses of the scores at image size, by their names, and ``loss``, their sum.

    The model must keep its scores: ``model=dict(test_cfg=dict(return_scores=True))``. Those of Mask2Former are no
    logits, and not for this.

    Args:
        loss_decode: one loss or several, as in ``decode_head``.
        ignore_index: label that counts in no loss.
        collect_device: not used, as in each process only sums are kept.
        prefix: put before the names in the log: 'val' makes 'val/loss'.
    """

    default_prefix = ''

    def __init__(
        self,
        loss_decode: dict | Sequence[dict] = dict(type='CrossEntropyLoss', avg_non_ignore=True),  # noqa: B006 (read only)
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        listed = [loss_decode] if isinstance(loss_decode, dict) else loss_decode
        self.losses = [MODELS.build(loss) for loss in listed]
        self.ignore_index = ignore_index
        self._sums = torch.zeros(len(self.losses) + 1, dtype=torch.float64)  # of the losses, and the images

    @property
    def metric_names(self) -> list[str]:
        """The keys of what :meth:`evaluate` will return, known before it does."""
        return [self._with_prefix(name) for name in self._names()]

    def _names(self) -> list[str]:
        names = [loss.loss_name for loss in self.losses]
        return list(dict.fromkeys((['loss'] if any(name.startswith('loss') for name in names) else []) + names))

    def _with_prefix(self, name: str) -> str:
        return f'{self.prefix}/{name}' if self.prefix else name

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add up a batch.

        Args:
            data_batch: not used.
            data_samples: for each image ``seg_logits`` (classes x H x W) and ``gt_sem_seg`` (1 x H x W) with ``data``,
                as dicts or as ``SegDataSample``.
        """
        for sample in data_samples:
            sample = sample if isinstance(sample, dict) else sample.to_dict()
            for key, fix in (
                ('seg_logits', 'let the model keep its scores: model=dict(test_cfg=dict(return_scores=True))'),
                ('gt_sem_seg', "load the annotation in the test pipeline (dict(type='LoadAnnotations'))"),
            ):
                if key not in sample:
                    raise ValueError(f'LossMetric: {sample.get("img_path")} comes without {key}; {fix}')
            scores, label = (_data(sample[key]) for key in ('seg_logits', 'gt_sem_seg'))
            scores, label = scores[None].float(), label.reshape(1, *label.shape[-2:]).to(scores.device)
            if scores.shape[1] == 1:  # the sample has probabilities
                scores = scores.clamp(EPS, 1 - EPS).logit()
            values = [loss(scores, label, ignore_index=self.ignore_index) for loss in self.losses]
            self._sums += torch.stack([*values, scores.new_ones(())]).double().cpu()

    def evaluate(self, size: int) -> dict[str, float]:
        """The means over what all processes added up; the next round starts from zero."""
        all_reduce(self._sums)
        *sums, images = self._sums.tolist()
        self._sums = torch.zeros_like(self._sums)
        means: dict[str, float] = {}
        for loss, value in zip(self.losses, sums, strict=True):
            for name in {loss.loss_name, 'loss'} if loss.loss_name.startswith('loss') else {loss.loss_name}:
                means[name] = means.get(name, 0.0) + value / max(images, 1)
        return {self._with_prefix(name): means[name] for name in self._names()}

    def compute_metrics(self, results: list) -> dict:
        """Nothing: :meth:`evaluate` does it all."""
        raise NotImplementedError


def _data(field: Any) -> Tensor:
    return field['data'] if isinstance(field, dict) else field.data
