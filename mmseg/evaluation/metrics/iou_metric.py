"""Intersection over union and its relatives, from one confusion matrix over all images."""

import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from mmseg.registry import METRICS

# The columns of the per-class table that each name of ``iou_metrics`` stands for.
COLUMNS = {
    'mIoU': ('IoU', 'Acc'),
    'mDice': ('Dice', 'Acc'),
    'mFscore': ('Fscore', 'Precision', 'Recall'),
}


def confusion_matrix(label: Tensor, pred: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count pixels by what they are (rows) and what they were taken for (columns).

    Args:
        label: true class indices, of any shape.
        pred: predicted class indices, of the same shape.
        num_classes: number of classes C; an index outside 0..C-1 raises a ValueError.
        ignore_index: the label of pixels that do not count, whatever their prediction.

    Returns:
        C x C, int64, on the prediction's device.
    """
    label = label.to(pred.device)
    known = label != ignore_index
    label, pred = label[known].long(), pred[known].long()
    for name, classes in (('annotation', label), ('prediction', pred)):
        if not classes.numel():
            break
        low, high = (int(bound) for bound in classes.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(f'class {low if low < 0 else high} in the {name}')
    counts = torch.bincount(label * num_classes + pred, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


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
    for which a figure is 0/0, such as the IoU of one that neither annotation nor prediction has, is
    left out of that mean.

    Args:
        ignore_index: the label of pixels that do not count.
        iou_metrics: names among 'mIoU', 'mDice' and 'mFscore'.
        nan_to_num: count a class left out by the above with this number (a fraction, so 0 or 1)
            instead.
        beta: weight of recall against precision in the F-score.
        collect_device: part of every mmengine metric; of no effect, as no results are collected.
        output_dir: folder for the predictions, one PNG an image under the name of the image. Where
            the dataset dropped label 0 (``reduce_zero_label``), classes are written back as 1, 2, ...
        format_only: write those files, measure nothing.
        keep_folders: how many folders above the image stay in the name of its PNG; 1 turns
            ``val/bern/0001.jpg`` into ``bern/0001.png``.
        prefix: put before each key, as ``prefix/mIoU``.
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
        self.ignore_index = ignore_index
        self.iou_metrics = iou_metrics
        self.nan_to_num = nan_to_num
        self.beta = beta
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.format_only = format_only
        self.keep_folders = keep_folders
        self._reset()

    def _reset(self) -> None:
        self._matrix: Tensor | None = None
        self._last: Tensor | None = None
        self._images = 0
        self._written: dict[str, str] = {}

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
    def metric_names(self) -> list[str]:
        """The keys of what :meth:`evaluate` will return, known before it does."""
        if self.format_only:
            return []
        names = ['aAcc', *dict.fromkeys(f'm{column}' for name in self.iou_metrics for column in COLUMNS[name])]
        return [f'{self.prefix}/{name}' if self.prefix else name for name in names]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch: not used.
            data_samples: for each image ``pred_sem_seg`` and ``gt_sem_seg`` with ``data`` of
                [1 x] H x W class indices, as dicts or as ``SegDataSample``.
        """
        for sample in data_samples:
            sample = sample if isinstance(sample, dict) else sample.to_dict()
            pred = _map(sample['pred_sem_seg'])
            if self.output_dir is not None:
                self._write(pred, sample)
            if self.format_only:
                continue
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'{_name(sample)}: no annotation to compare with; load it in the test pipeline '
                    "(dict(type='LoadAnnotations')) or set format_only=True"
                )
            self._count(_map(sample['gt_sem_seg']), pred, sample)

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
        if self.output_dir is not None:
            self._check_written()
        if self.format_only:
            print_log(f'Predictions are in {self.output_dir}', logger='current')
            self._reset()
            return {}
        classes = len(self.classes)
        matrix = torch.zeros(classes, classes, dtype=torch.int64) if self._matrix is None else self._matrix.cpu()
        if self._repeats_last(size):
            matrix = matrix - self._last.cpu()
        all_reduce(matrix)
        self._reset()
        metrics = self.compute_metrics([matrix])
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}

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
        matrix = sum(np.asarray(counts, dtype=np.int64) for counts in results)
        figures = per_class_figures(matrix, self.beta)
        if self.nan_to_num is not None:
            figures = {name: np.nan_to_num(values, nan=self.nan_to_num) for name, values in figures.items()}
        # A dict keeps the order and drops what two metrics share (Acc).
        columns = list(dict.fromkeys(column for name in self.iou_metrics for column in COLUMNS[name]))
        means = {column: _mean(figures[column]) for column in columns}
        metrics = {'aAcc': _percent(_divide(np.trace(matrix), matrix.sum()))}
        metrics.update({f'm{column}': _percent(means[column]) for column in columns})
        if is_main_process():
            rows = [(name, [figures[c][i] for c in columns]) for i, name in enumerate(self.classes)]
            table = render_table(['Class', *columns], [*rows, ('mean', list(means.values()))])
            print_log(f'Per class, in percent:\n{table}', logger='current')
        return metrics

    def _write(self, pred: Tensor, sample: dict) -> None:
        if not sample.get('img_path'):
            raise ValueError('output_dir names predictions by their images: keep img_path in PackSegInputs(meta_keys)')
        image = Path(sample['img_path'])
        folders = image.parts[:-1][-self.keep_folders :] if self.keep_folders else ()
        name = str(Path(*folders, f'{image.stem}.png'))
        self._claim(name, str(image))
        classes = pred.cpu().numpy().astype(np.uint16) + bool(sample.get('reduce_zero_label'))
        if classes.max() < 256:
            classes = classes.astype(np.uint8)
        file = self.output_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode('.png', classes)[1].tobytes())

    def _claim(self, name: str, image: str) -> None:
        if self._written.setdefault(name, image) != image:
            raise ValueError(
                f'{self._written[name]} and {image} would both be written to {self.output_dir / name}: '
                f'set keep_folders={self.keep_folders + 1} in IoUMetric'
            )

    def _check_written(self) -> None:
        """Another process may have written an image of the same name."""
        for written in all_gather_object(self._written):
            for name, image in written.items():
                self._claim(name, image)


def per_class_figures(matrix: np.ndarray, beta: float = 1) -> dict[str, np.ndarray]:
    """Figures per class, as fractions, from a C x C confusion matrix (rows = annotation); NaN for 0/0."""
    hit = np.diag(matrix)
    labelled, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _divide(hit, predicted), _divide(hit, labelled)
    return {
        'IoU': _divide(hit, labelled + predicted - hit),
        'Acc': recall,
        'Dice': _divide(2 * hit, labelled + predicted),
        'Fscore': _divide((1 + beta**2) * precision * recall, beta**2 * precision + recall),
        'Precision': precision,
        'Recall': recall,
    }


def render_table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Names and fractions as a plain-text table of percentages (Markdown's form, so it pastes into docs)."""
    table = Table(box=box.MARKDOWN)
    for i, title in enumerate(header):
        table.add_column(title, justify='right' if i else 'left', no_wrap=True)
    for name, values in rows:
        table.add_row(Text(name), *(f'{_percent(value):.2f}' for value in values))
    # Wide enough for any table: a log file does not wrap.
    console = Console(file=io.StringIO(), width=1000, color_system=None, force_terminal=False)
    console.print(table)
    return '\n'.join(line.strip() for line in console.file.getvalue().splitlines() if line.strip())


def _divide(numerator, denominator) -> np.ndarray:
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.true_divide(numerator, denominator)


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def _percent(fraction: float) -> float:
    return round(100 * float(fraction), 2)


def _map(field: dict) -> Tensor:
    data = torch.as_tensor(field['data'])
    return data[0] if data.dim() == 3 else data


def _name(sample: dict) -> str:
    return str(sample.get('img_path', 'image without img_path'))


def _size(tensor: Tensor) -> str:
    return ' x '.join(str(side) for side in tensor.shape)
