"""What a report shows of a test, collected image by image in the metric's pass."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmseg.evaluation.metrics.figures import confusion_matrix, divide, mean
from mmseg.evaluation.metrics.iou_metric import label_map_of
from mmseg.registry import METRICS
from mmseg.utils.palette import palette_of
from mmseg.visualization.picture import picture_of

from .pictures import Gallery, encode_pictures
from .regions import BANDS, SIDES, band_counts, border_counts, size_counts

SCORE_BINS = 1000  # of the confidence, which the page joins to fewer


class Facts:
    """Counts over images; those of several processes add up to the same, whoever saw which image.

    Attributes:
        matrix: C x C pixels, rows = annotation, columns = prediction.
        borders, bands, sizes: see :mod:`.regions`.
        scores: 2 x SCORE_BINS pixels by confidence, wrong ones and right ones; None without scores.
        images: by name the classes that occur, and of each its pixels: 4 x n (class, hit, annotated, predicted).
        gallery: pictures.
    """

    def __init__(self, classes: int, pictures: int, scores: bool) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)
        self.borders = np.zeros((3, classes), np.int64)
        self.bands = np.zeros((len(BANDS) + 1, 3, classes), np.int64)
        self.sizes = np.zeros((len(SIDES) + 1, 4, classes), np.int64)
        self.scores = np.zeros((2, SCORE_BINS), np.int64) if scores else None
        self.images: dict[str, np.ndarray] = {}
        self.gallery = Gallery(pictures)

    def merge(self, other: 'Facts') -> None:
        self.matrix += other.matrix
        self.borders += other.borders
        self.bands += other.bands
        self.sizes += other.sizes
        if self.scores is not None and other.scores is not None:
            self.scores += other.scores
        self.images |= other.images
        self.gallery.merge(other.gallery)


@METRICS.register_module()
class ReportMetric(BaseMetric):
    """Collects what ``lrformer test --report`` shows; it adds no figure to the metrics.

    Memory is that of the pictures (:class:`.pictures.Gallery`) and some 100 bytes for each other image. After
    :meth:`evaluate` every process has all of it in ``facts``.

    Args:
        ignore_index: the label of pixels that do not count.
        pictures: how many images have pictures.
        scores: count confidences; samples need ``seg_logits``.
        collect_device, prefix: part of every mmengine metric; of no effect.

    Attributes:
        probabilities: whether ``seg_logits`` are probabilities, or sums of them, and not logits.
        facts: what was found.
        own_seconds: what collecting took of this process's time.
    """

    default_prefix = ''

    def __init__(
        self,
        ignore_index: int = 255,
        pictures: int = 120,
        scores: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index, self.pictures, self.scores = ignore_index, pictures, scores
        self.probabilities = False
        self.facts: Facts | None = None
        self.own_seconds = 0.0
        self._seen = 0

    @property
    def metric_names(self) -> list[str]:
        """None: see ``IoUMetric``."""
        return []

    @property
    def palette(self) -> np.ndarray:
        """Colours of the classes, C x 3, RGB, uint8."""
        return palette_of(self.dataset_meta)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch: ``inputs`` are pictures of images that have no file.
            data_samples: for each image ``pred_sem_seg`` and ``gt_sem_seg``, [1 x] H x W class indices.
        """
        start = time.perf_counter()
        if self.facts is None or not self._seen:
            self.facts = Facts(len(self.dataset_meta['classes']), self.pictures, self.scores)
            self.own_seconds = 0.0
        inputs = data_batch['inputs']
        if isinstance(inputs[0], (list, tuple)):
            inputs = inputs[0]  # of several views of the batch, the first
        for i, sample in enumerate(data_samples):
            sample = sample if isinstance(sample, dict) else sample.to_dict()
            # Process r is dealt images r, r + processes, ...: so numbered they are called alike by any number.
            name = sample.get('img_path') or f'image_{self._seen * get_world_size() + get_rank():06d}'
            self._seen += 1
            self._count(self.facts, str(name), sample, inputs[i])
        self.own_seconds += time.perf_counter() - start

    def _count(self, facts: Facts, name: str, sample: dict, inputs: Tensor) -> None:
        if 'gt_sem_seg' not in sample:
            raise ValueError(f'{name}: no annotation to compare with; load it in the test pipeline (LoadAnnotations)')
        maps = label_map_of(sample['gt_sem_seg']), label_map_of(sample['pred_sem_seg'])
        classes = len(self.dataset_meta['classes'])
        matrix = confusion_matrix(*maps, classes, self.ignore_index).cpu().numpy()
        if facts.scores is not None:
            facts.scores += self._confidences(sample['seg_logits']['data'], *maps)
        label, pred = (map_.cpu().numpy().astype(np.int64) for map_ in maps)
        known = label != self.ignore_index
        facts.matrix += matrix
        facts.borders += border_counts(label, pred, known, classes)
        facts.bands += band_counts(label, pred, known, classes)
        facts.sizes += size_counts(label, pred, known, classes)
        hit, labelled, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        present = np.flatnonzero(labelled + predicted)
        facts.images[name] = np.stack([present, hit[present], labelled[present], predicted[present]])
        score = image_iou(facts.images[name])

        def make() -> tuple[dict, bytes]:
            image = picture_of(sample, pred.shape, inputs)
            return encode_pictures(image, label, pred, known, self.palette)

        facts.gallery.add(name, score, make)

    def _confidences(self, scores: Tensor, label: Tensor, pred: Tensor) -> np.ndarray:
        """2 x SCORE_BINS pixels by the probability of the class that was chosen, wrong and right."""
        if len(scores) == 1:  # the probability of the second of two classes
            chosen = torch.where(pred == 1, scores[0], 1 - scores[0])
        elif self.probabilities:
            chosen = scores.amax(dim=0) / scores.sum(dim=0).clamp(min=1e-12)
        else:
            chosen = scores.float().softmax(dim=0).amax(dim=0)
        label = label.to(pred.device)
        known = label != self.ignore_index
        bins = (chosen[known] * SCORE_BINS).long().clamp(0, SCORE_BINS - 1)
        right = (label == pred)[known].long()
        counts = torch.bincount(right * SCORE_BINS + bins, minlength=2 * SCORE_BINS)
        return counts.reshape(2, SCORE_BINS).cpu().numpy()

    def evaluate(self, size: int) -> dict:
        """Put together what all processes found.

        Args:
            size: number of images of the dataset.
        """
        own = self.facts or Facts(len(self.dataset_meta['classes']), self.pictures, self.scores)
        parts = all_gather_object(own)
        self.facts = parts[0]
        for part in parts[1:]:
            self.facts.merge(part)
        self._seen = 0
        if len(self.facts.images) != size:
            print_log(
                f'the report has {len(self.facts.images)} images where the dataset has {size}: images of one path '
                'stand in it once',
                logger='current',
                level=logging.WARNING,
            )
        return {}

    def compute_metrics(self, results: list) -> dict:
        """Nothing: see :meth:`evaluate`."""
        return {}


def image_iou(counts: np.ndarray) -> float:
    """Mean IoU over the classes that an image has, annotated or predicted; of counts as in :class:`Facts`."""
    _, hit, labelled, predicted = counts
    return mean(divide(hit, labelled + predicted - hit))
