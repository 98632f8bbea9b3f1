"""Which pixels count in a head's loss. Labels are B x 1 x H x W, scores B x classes x H x W."""

import inspect
from abc import ABCMeta, abstractmethod
from functools import reduce
from typing import Protocol

import torch
from torch import Tensor, nn

from mmseg.registry import TASK_UTILS
from mmseg.utils.errors import require


def build_pixel_sampler(cfg: dict, **default_args):
    """A sampler from its config, e.g. ``dict(type='OHEMPixelSampler', thresh=0.7)``."""
    return TASK_UTILS.build(cfg, default_args=default_args)


def below_probability(probability: Tensor, thresh: float, kept: int) -> Tensor:
    """Which of N pixels, by the probability of their own class, are below ``thresh``; ``kept`` of them at least."""
    limit = probability.sort().values[kept - 1]  # kthvalue on CUDA is not deterministic
    return (probability < thresh) | (probability <= limit)


class Head(Protocol):
    """What a sampler asks a decode head for."""

    ignore_index: int
    loss_decode: nn.Module


class BasePixelSampler(metaclass=ABCMeta):
    @abstractmethod
    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """A weight for each pixel, B x H x W."""


@TASK_UTILS.register_module()
class OHEMPixelSampler(BasePixelSampler):
    """Online hard example mining: pixels that the model knows well count 0.

    Args:
        context: the decode head, for its ``ignore_index`` and, without ``thresh``, its losses.
        thresh: pixels whose own class has at least this probability count 0; None keeps those with most loss.
        min_kept: pixels an image that count whatever ``thresh`` says; without ``thresh``, all that count.
    """

    def __init__(self, context: Head, thresh: float | None = None, min_kept: int = 100000) -> None:
        require(min_kept > 1, f'OHEMPixelSampler: min_kept={min_kept} must be above 1')
        self.context, self.thresh, self.min_kept = context, thresh, min_kept

    @torch.no_grad()
    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        require(
            seg_logit.shape[2:] == seg_label.shape[2:] and seg_label.shape[1] == 1,
            f'OHEMPixelSampler: scores {tuple(seg_logit.shape)} do not go with labels {tuple(seg_label.shape)}',
        )
        label = seg_label.squeeze(1)
        valid = label != self.context.ignore_index
        kept = min(self.min_kept * len(label), int(valid.sum()))
        weight = torch.zeros_like(label, dtype=torch.float32)
        if kept:
            weight[valid] = self.choose(seg_logit.float(), label, valid, kept)
        return weight

    def choose(self, seg_logit: Tensor, label: Tensor, valid: Tensor, kept: int) -> Tensor:
        """1 for those of the N valid pixels that count, else 0."""
        if self.thresh is not None:
            if seg_logit.shape[1] == 1:  # of class 1 alone
                seg_logit = torch.cat([torch.zeros_like(seg_logit), seg_logit], dim=1)
            probability = seg_logit.softmax(dim=1).gather(1, label.masked_fill(~valid, 0)[:, None])[:, 0][valid]
            return below_probability(probability, self.thresh, kept).float()
        own = self.context.loss_decode
        losses = list(own) if isinstance(own, nn.ModuleList) else [own]
        loss = reduce(torch.add, [self.per_pixel(one, seg_logit, label) for one in losses])[valid]
        return torch.zeros_like(loss).scatter_(0, loss.topk(kept).indices, 1.0)

    def per_pixel(self, loss: nn.Module, seg_logit: Tensor, label: Tensor) -> Tensor:
        """B x H x W"""
        options = dict(ignore_index=self.context.ignore_index, reduction_override='none')
        parameters = inspect.signature(loss.forward).parameters.values()
        known = any(p.name == 'reduction_override' or p.kind is p.VAR_KEYWORD for p in parameters)
        refusal = (
            f'OHEMPixelSampler: {type(loss).__name__} is not a loss of each pixel, to choose pixels by; give thresh'
        )
        require(known, refusal)
        values = loss(seg_logit, label, **options)
        require(values.dim() >= label.dim() and values.shape[-2:] == label.shape[-2:], refusal)
        return values.sum(dim=1) if values.dim() > label.dim() else values
