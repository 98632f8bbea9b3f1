"""Intersection over union and its relatives, from one confusion matrix over all images."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce, get_rank, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmseg.registry import METRICS

from .figures import confusion_matrix, divide, mean, per_class_figures, percent, render_table, scalar_names
from .prediction_files import PredictionFiles

# The columns of the per-class table that each name of ``iou_metrics`` stands for.
COLUMNS = {
    'mIoU': ('IoU', 'Acc'),
    'mDice': ('Dice', 'Acc'),
    'mFscore': ('Fscore', 'Precision', 'Recall'),
}
LISTED = 10  # classes that a warning names


@METRICS.register_module()
class IoUMetric(BaseMetric):
    """Mean intersection over union, and with it accuracy, Dice and F-score.

    Images are not kept: each adds its pixels to one confusion matrix, and processes add up their
    matrices. The numbers are therefore the same, digit for digit, for any number of processes and
    any batch size. Images that a sampler repeats to give every process an equal share are counted
    once, provided that process r takes images r, r + processes, r + 2 processes ..., as mmengine's
    ``DefaultSampler`` deals them.

    Percentages, rounded to two decimals, under the keys ``aAcc`` (all pixels), ``mIoU`` and ``mAcc``
    (mean over classes), ``mDice`` and ``mAcc``, ``mFscore``, ``mPrecision`` and ``mRecall``. A class
    that neither annotation nor prediction has is left out of the means, and one that is not annotated
    out of those of accuracy and recall. One that is annotated and never predicted counts as 0 everywhere.

    The first evaluation warns of classes that no pixel is annotated with.

    Args:
        ignore_index: the label of pixels that do not count.
        iou_metrics: names among 'mIoU', 'mDice' and 'mFscore'.
        nan_to_num: count a class left out by the above with this fraction, 0 to 1, instead.
        beta: weight of recall against precision in the F-score.
        collect_device: part of every mmengine metric; of no effect, as no results are collected.
        output_dir: folder for the predictions, one PNG an image under the name of the image, with the
            labels of the dataset's own files where it states them (``label_ids`` in its ``metainfo``), and
            otherwise class indices; where it drops label 0 (``reduce_zero_label``), these start from 1.
        format_only: write those files, measure nothing.
        keep_folders: how many folders above the image stay in the name of its PNG; 1 turns
            ``val/bern/0001.jpg`` into ``bern/0001.png``.
        prefix: put before each key, as ``prefix/mIoU``.
        per_class: add every class's figures to the metrics, as ``IoU.car``; blanks, slashes and other signs in a
            class name become '_' (``IoU.traffic_light``).
    """

    default_prefix = ''

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ('mIoU',),
        nan_to_num: float | None = None,
        beta: float = 1,
        collect_device: str = 'cpu',
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
        keep_folders: int = 0,
        per_class: bool = False,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        iou_metrics = [iou_metrics] if isinstance(iou_metrics, str) else list(iou_metrics)
        unknown = [name for name in iou_metrics if name not in COLUMNS]
        if unknown or not iou_metrics:
            raise ValueError(f'iou_metrics holds {unknown}; choose one or more of {list(COLUMNS)}')
        if format_only and output_dir is None:
            raise ValueError('format_only=True writes predictions to files: say where with output_dir=...')
        if beta <= 0:
            raise ValueError(f'beta must be above 0, got {beta}')
        if nan_to_num is not None and not 0 <= nan_to_num <= 1:
            raise ValueError(f'nan_to_num is a fraction from 0 to 1, got {nan_to_num}')
        self.ignore_index = ignore_index
        self.iou_metrics = iou_metrics
        self.nan_to_num = nan_to_num
        self.beta = beta
        self.files = None if output_dir is None else PredictionFiles(output_dir, keep_folders)
        self.format_only = format_only
        self.per_class = per_class
        self._warned = False
        self._reset()

    def _reset(self) -> None:
        self._matrix: Tensor | None = None
        self._last = torch.zeros((), dtype=torch.int64)
        self._images = 0

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes, from ``dataset_meta``."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                'IoUMetric needs the class names: give the dataset metainfo=dict(classes=...), '
                'or set dataset_meta of the metric'
            )
        return classes

    @property
    def columns(self) -> list[str]:
        """The figures that the table has for each class."""
        # A dict keeps the order and drops what two metrics share (Acc).
        return list(dict.fromkeys(column for name in self.iou_metrics for column in COLUMNS[name]))

    @property
    def metric_names(self) -> list[str]:
        """The keys of what :meth:`evaluate` will return, known before it does."""
        return [] if self.format_only else [self._with_prefix(name) for name in self._names()]

    def _names(self) -> list[str]:
        names = ['aAcc', *(f'm{column}' for column in self.columns)]
        if self.per_class:
            names += [f'{column}.{name}' for column in self.columns for name in scalar_names(self.classes)]
        return names

    def _with_prefix(self, name: str) -> str:
        return f'{self.prefix}/{name}' if self.prefix else name

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch: not used.
            data_samples: for each image ``pred_sem_seg`` and ``gt_sem_seg`` with ``data`` of
                [1 x] H x W class indices, as dicts or as ``SegDataSample``.
        """
        for sample in data_samples:
            sample = sample if isinstance(sample, dict) else sample.to_dict()
            pred = label_map_of(sample['pred_sem_seg'])
            if self.files is not None:
                self.files.write(pred, sample, (self.dataset_meta or {}).get('label_ids'))
            if self.format_only:
                continue
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'{_name(sample)}: no annotation to compare with; load it in the test pipeline '
                    "(dict(type='LoadAnnotations')) or set format_only=True"
                )
            self._count(label_map_of(sample['gt_sem_seg']), pred, sample)

    def _count(self, label: Tensor, pred: Tensor, sample: dict) -> None:
        if label.shape != pred.shape:
            raise ValueError(
                f'{_name(sample)}: the annotation is {_size(label)} and the prediction {_size(pred)} '
                '(height x width); they must agree. Does the annotation belong to this image, and does the '
                'test pipeline leave it at its own size (LoadAnnotations after the resizing)?'
            )
        try:
            counts = confusion_matrix(label, pred, len(self.classes), self.ignore_index)
        except ValueError as error:
            raise ValueError(
                f'{_name(sample)}: {error}, but the dataset has {len(self.classes)} classes '
                f'(0 to {len(self.classes) - 1}; {self.ignore_index} is ignored). Check num_classes of '
                'the decode head, and label_map and reduce_zero_label of the dataset'
            ) from None
        self._matrix = counts if self._matrix is None else self._matrix + counts
        # A repeated image can only be the last one of a process: see _repeats_last.
        self._last = counts
        self._images += 1

    def evaluate(self, size: int) -> dict[str, float]:
        """The metrics over what all processes counted; the next round starts from zero.

        Args:
            size: number of images of the dataset, by which repeated ones are recognised.

        Returns:
            The same metrics in every process, with the prefix in their names.
        """
        if self.files is not None:
            self.files.check()
            if self.format_only:
                print_log(f'Predictions are in {self.files.folder}', logger='current')
                self._reset()
                return {}
        classes = len(self.classes)
        matrix = torch.zeros(classes, classes, dtype=torch.int64) if self._matrix is None else self._matrix.cpu()
        if self._repeats_last(size):
            matrix = matrix - self._last.cpu()
        all_reduce(matrix)
        self._reset()
        metrics = self.compute_metrics([matrix])
        return {self._with_prefix(name): value for name, value in metrics.items()}

    def _repeats_last(self, size: int) -> bool:
        """Whether this process's last image is one that the sampler repeated to fill up its share."""
        processes = get_world_size()
        images = torch.zeros(processes, dtype=torch.int64)
        images[get_rank()] = self._images
        all_reduce(images)
        total, share = int(images.sum()), math.ceil(size / processes)
        if total > size and all(images == share):
            return (share - 1) * processes + get_rank() >= size
        if total != size:
            print_log(
                f'IoUMetric counted {total} images where the dataset has {size}',
                logger='current',
                level=logging.WARNING,
            )
        return False

    def compute_metrics(self, results: Sequence[Tensor | np.ndarray]) -> dict[str, float]:
        """Metrics of the sum of ``results``, confusion matrices of rows = annotation, columns = prediction.

        Also logs the table of figures per class.
        """
        matrix = np.sum([np.asarray(counts, dtype=np.int64) for counts in results], axis=0)
        figures = per_class_figures(matrix, self.beta)
        if self.nan_to_num is not None:
            figures = {name: np.nan_to_num(values, nan=self.nan_to_num) for name, values in figures.items()}
        columns = self.columns
        means = {column: mean(figures[column]) for column in columns}
        values = [float(divide(np.trace(matrix), matrix.sum())), *means.values()]
        if self.per_class:
            values += [float(value) for column in columns for value in figures[column]]
        metrics = {name: percent(value) for name, value in zip(self._names(), values, strict=True)}
        if is_main_process():
            rows = [(name, [figures[c][i] for c in columns]) for i, name in enumerate(self.classes)]
            table = render_table(['Class', *columns], [*rows, ('mean', list(means.values()))])
            print_log(f'Per class, in percent:\n{table}', logger='current')
            self._warn_of_absent_classes(matrix)
        return metrics

    def _warn_of_absent_classes(self, matrix: np.ndarray) -> None:
        """Say once which classes no pixel is annotated with, as nothing else would show that labels are misread."""
        absent = [name for name, count in zip(self.classes, matrix.sum(axis=1), strict=True) if not count]
        if not absent or self._warned:
            return
        self._warned = True
        listed = ', '.join(map(repr, absent[:LISTED])) + (
            f' and {len(absent) - LISTED} more' if len(absent) > LISTED else ''
        )
        print_log(
            f'{len(absent)} of {len(self.classes)} classes have no annotated pixel in any of these images: {listed}. '
            'They may well be absent, or their labels are read as something else (masks of 0 and 255, labels off by '
            'one, names in another order). What the files hold, and the config lines that mend it: '
            'lrformer check CONFIG',
            logger='current',
            level=logging.WARNING,
        )


def label_map_of(field: dict) -> Tensor:
    """H x W class indices of a ``pred_sem_seg`` or ``gt_sem_seg``."""
    data = torch.as_tensor(field['data'])
    return data[0] if data.dim() == 3 else data


def _name(sample: dict) -> str:
    return str(sample.get('img_path', 'image without img_path'))


def _size(tensor: Tensor) -> str:
    return ' x '.join(str(side) for side in tensor.shape)
