"""The loss of mask classification: match queries with the classes present, then score classes and masks.

Source: Cheng et al., "Masked-attention Mask Transformer", CVPR 2022 (arXiv 2112.01527); points as in PointRend
(arXiv 1912.08193). Everything is computed in float32 whatever autocast does.

Legend: L layers, B images, Q queries, C classes, D channels, P points; S segments: the matched pairs of one layer.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..layers import from_host, full_precision
from .point_sampling import sample_labels, sample_maps, sample_masks

# What is no class, in the label maps here: pixels without one, and places beyond the map.
IGNORED, OUTSIDE = -1, -2


@MODELS.register_module()
class Mask2FormerLoss(nn.Module):
    """Class, mask and dice losses of every decoder layer, after Hungarian matching on sampled points.

    In semantic segmentation each class present in an image is one segment.

    Args:
        class_weight, mask_weight, dice_weight: of the three losses, and of the three matching costs.
        no_object_weight: of queries without a segment, in the class loss.
        num_points: points per mask, for matching and for the losses.
        oversample_ratio: how many times ``num_points`` are drawn, for the uncertain ones to be found.
        importance_sample_ratio: the share of points that are uncertain ones; the others are random.
        ignore_index: label that is no class.
        exclude_ignored: leave ignored pixels out of matching and losses. By default they count as
            outside every mask, as in the published training.

    Attributes:
        non_finite_costs: how many matchings met costs that were not finite.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        no_object_weight: float = 0.1,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_sample_ratio: float = 0.75,
        ignore_index: int = 255,
        exclude_ignored: bool = False,
    ) -> None:
        super().__init__()
        if num_points < 1 or oversample_ratio < 1 or not 0 <= importance_sample_ratio <= 1:
            raise ValueError(
                f'Mask2FormerLoss: num_points={num_points} must be at least 1, oversample_ratio={oversample_ratio} at '
                f'least 1, and importance_sample_ratio={importance_sample_ratio} from 0 to 1'
            )
        self.class_weight, self.mask_weight, self.dice_weight = class_weight, mask_weight, dice_weight
        self.no_object_weight = no_object_weight
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.ignore_index = ignore_index
        self.exclude_ignored = exclude_ignored
        self.non_finite_costs = 0

    def forward(
        self,
        class_logits: Sequence[Tensor],
        mask_embeddings: Sequence[Tensor],
        mask_features: Tensor,
        labels: Tensor,
        names: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """The losses by name, ``loss_cls``, ``loss_mask`` and ``loss_dice`` for the last layer, ``d0.loss_cls`` and so
        on for those before.

        A mask's logits are the product of its query's embedding and the pixels' features over D channels. Only matched
        queries' masks are ever made.

        Args:
            class_logits: of each layer, B x Q x (C + 1).
            mask_embeddings: of each layer, B x Q x D.
            mask_features: B x D x h x w.
            labels: B x H x W.
            names: of the images, for messages.
        """
        with full_precision(labels):
            class_logits = torch.stack([x.float() for x in class_logits])  # L x B x Q x C+1
            mask_embeddings = torch.stack([x.float() for x in mask_embeddings])  # L x B x Q x D
            mask_features = mask_features.float()
            labels = labels.masked_fill(labels == self.ignore_index, IGNORED)
            in_image, queries, classes = self.match(class_logits, mask_embeddings, mask_features, labels, names)
            images = from_host(in_image, labels.device, torch.int64)
            num_masks = torch.full((), float(len(images)), device=labels.device)
            all_reduce(num_masks, 'mean')  # in place: over all processes
            loss_cls = self.class_losses(class_logits, images, queries, classes)
            layers = torch.arange(len(queries), device=labels.device)[:, None]
            matched = mask_embeddings[layers, images, queries]  # L x S x D
            parts = matched.split([in_image.count(b) for b in range(len(labels))], dim=1)
            masks = torch.cat([part @ x.flatten(1) for part, x in zip(parts, mask_features, strict=True)], dim=1)
            losses = {}
            for i, layer_masks in enumerate(masks.unflatten(2, mask_features.shape[2:])):
                prefix = '' if i == len(masks) - 1 else f'd{i}.'
                loss_mask, loss_dice = self.mask_losses(layer_masks, labels, images, classes[i])
                losses[f'{prefix}loss_cls'] = loss_cls[i]
                losses[f'{prefix}loss_mask'] = loss_mask / num_masks.clamp(min=1)
                losses[f'{prefix}loss_dice'] = loss_dice / num_masks.clamp(min=1)
        return losses

    @torch.no_grad()
    def match(
        self,
        class_logits: Tensor,
        mask_embeddings: Tensor,
        mask_features: Tensor,
        labels: Tensor,
        names: Sequence[str] | None = None,
    ) -> tuple[list[int], Tensor, Tensor]:
        """The cheapest assignment of queries to the classes present: image (S, in order), query and class (L x S)."""
        L, B, Q, C = *class_logits.shape[:3], class_logits.shape[3] - 1
        points = torch.rand(B, self.num_points, 2, device=labels.device)
        targets, counted = self.targets_of_all_classes(labels, points, C)
        features = sample_maps(mask_features, points)  # B x D x P
        costs = torch.stack(
            [
                self.costs(logits, embeddings @ features, targets, counted)
                for logits, embeddings in zip(class_logits, mask_embeddings, strict=True)
            ]
        )
        labels = labels.flatten(1)
        present = costs.new_zeros(B, C).scatter_add_(1, labels.clamp(min=0), (labels >= 0).to(costs.dtype))
        # One copy to the CPU, which costs all that the GPU still has to compute.
        table = torch.cat([costs.flatten(), present.flatten()]).cpu().numpy()
        costs, present = table[: L * B * Q * C].reshape(L, B, Q, C), table[L * B * Q * C :].reshape(B, C) > 0

        images, queries, classes = [], [], []
        for b in range(B):
            here = present[b].nonzero()[0]
            pairs = np.array([self.assign(costs[i, b][:, here], names[b] if names else f'image {b}') for i in range(L)])
            images += [b] * pairs.shape[2]
            queries.append(pairs[:, 0])
            classes.append(here[pairs[:, 1]])
        pairs = np.stack([np.concatenate(queries, axis=1), np.concatenate(classes, axis=1)])
        queries, classes = from_host(pairs, labels.device)
        return images, queries, classes

    def assign(self, cost: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each pair of the cheapest assignment, by column; costs that are not finite come last."""
        if not np.isfinite(cost).all():
            if self.non_finite_costs == 0:
                print_log(
                    f'matching costs of {name} are not finite: the model has diverged, or its mixed precision '
                    'overflows. Training goes on; lower the learning rate, or try bfloat16. Said once only',
                    logger='current',
                    level=logging.WARNING,
                )
            self.non_finite_costs += 1
            cost = np.nan_to_num(cost, nan=1e6, posinf=1e6, neginf=1e6)
        columns, rows = linear_sum_assignment(cost.T)
        return rows, columns

    def targets_of_all_classes(self, labels: Tensor, points: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Samples of every class's mask at each image's points, B x P x C, and which points count, B x P."""
        images = torch.arange(len(labels), device=labels.device)
        corners, weights = sample_labels(labels, images, points, OUTSIDE)
        targets = weights.new_zeros(*points.shape[:2], num_classes)
        for corner, weight in zip(corners, weights, strict=True):
            targets.scatter_add_(2, corner.clamp(min=0)[..., None], (weight * (corner >= 0))[..., None])
        counted = self.counted(corners)
        return targets * counted[..., None], counted

    def counted(self, corners: Tensor) -> Tensor:
        """1 for points that count, 0 for those that touch ignored pixels where these are excluded."""
        if self.exclude_ignored:
            return (corners != IGNORED).all(dim=0).float()
        return torch.ones(corners.shape[1:], device=corners.device)

    def costs(self, class_logits: Tensor, points: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        """Costs of B x Q x C pairs, from mask logits B x Q x P and targets B x P x C."""
        masks, counted = points.sigmoid(), counted[..., None]  # targets are 0 where a point does not count
        cost_class = -class_logits.softmax(dim=-1)[..., :-1]
        # Binary cross-entropy of logit x at target t is softplus(x) - x t.
        cost_mask = (F.softplus(points) @ counted - points @ targets) / counted.sum(dim=1, keepdim=True).clamp(min=1)
        sizes = masks @ counted + targets.sum(dim=1, keepdim=True)
        cost_dice = 1 - (2 * (masks @ targets) + 1) / (sizes + 1)
        return self.class_weight * cost_class + self.mask_weight * cost_mask + self.dice_weight * cost_dice

    def class_losses(self, class_logits: Tensor, images: Tensor, queries: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy of each layer, averaged by weight: L."""
        L, no_object = len(class_logits), class_logits.shape[-1] - 1
        target = torch.full(class_logits.shape[:3], no_object, device=class_logits.device)
        layers = torch.arange(L, device=class_logits.device)[:, None]
        target[layers, images, queries] = classes
        weight = class_logits.new_ones(no_object + 1)
        weight[no_object] = self.no_object_weight
        loss = F.cross_entropy(class_logits.flatten(0, 2), target.flatten(), weight, reduction='none').view(L, -1)
        # Where every weight is 0, so is the loss.
        return self.class_weight * loss.sum(dim=1) / weight[target].flatten(1).sum(dim=1).clamp(min=1e-6)

    def mask_losses(self, masks: Tensor, labels: Tensor, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Mask and dice loss of one layer, summed over the matched queries' mask logits S x h x w."""
        if len(masks) == 0:
            return masks.sum(), masks.sum()  # 0, with a gradient of 0 for every parameter

        points = self.uncertain_points(masks, labels, images)
        corners, weights = sample_labels(labels, images, points, OUTSIDE)
        target = (weights * (corners == classes[:, None])).sum(dim=0)  # S x P
        counted = self.counted(corners)
        target = target * counted
        logits = sample_masks(masks, points)

        loss_mask = F.binary_cross_entropy_with_logits(logits, target, counted, reduction='none').sum(dim=1)
        loss_mask = loss_mask / counted.sum(dim=1).clamp(min=1)
        inside = logits.sigmoid() * counted
        overlap = (inside * target).sum(dim=1)
        loss_dice = 1 - (2 * overlap + 1) / (inside.sum(dim=1) + target.sum(dim=1) + 1)
        return self.mask_weight * loss_mask.sum(), self.dice_weight * loss_dice.sum()

    @torch.no_grad()
    def uncertain_points(self, masks: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """Points near the border of each mask, where its logit is smallest, and random ones: S x P x 2."""
        drawn = torch.rand(len(masks), int(self.num_points * self.oversample_ratio), 2, device=masks.device)
        uncertainty = -sample_maps(masks[:, None], drawn)[:, 0].abs()
        if self.exclude_ignored:
            corners, _ = sample_labels(labels, images, drawn, OUTSIDE)
            uncertainty = uncertainty.masked_fill(self.counted(corners) == 0, -torch.inf)
        important = int(self.num_points * self.importance_sample_ratio)
        best = uncertainty.topk(important, dim=1, sorted=False).indices
        chosen = drawn.take_along_dim(best[..., None], dim=1)
        others = torch.rand(len(masks), self.num_points - important, 2, device=masks.device)
        return torch.cat([chosen, others], dim=1)
