"""Figures per class from a confusion matrix, their means, and how both are shown."""

import io
import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor


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


def per_class_figures(matrix: np.ndarray, beta: float = 1) -> dict[str, np.ndarray]:
    """Figures per class, as fractions, from a C x C confusion matrix (rows = annotation).

    NaN, which means leave out of them, must not be had for predicting badly. So it stands only where a class is
    neither annotated nor predicted, and in accuracy and recall, the shares of annotated pixels, where it is not
    annotated, which no model can change. A class that is annotated and never predicted has precision 0.
    """
    hit = np.diag(matrix)
    labelled, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    missed, wrong = labelled - hit, predicted - hit
    recall = divide(hit, labelled)
    return {
        'IoU': divide(hit, hit + missed + wrong),
        'Acc': recall,
        'Dice': divide(2 * hit, 2 * hit + missed + wrong),
        'Fscore': divide((1 + beta**2) * hit, (1 + beta**2) * hit + beta**2 * missed + wrong),
        'Precision': divide(hit, np.where(predicted > 0, predicted, labelled)),
        'Recall': recall,
    }


def divide(numerator, denominator) -> np.ndarray:
    """Quotients, NaN for 0/0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.true_divide(numerator, denominator)


def mean(values: np.ndarray) -> float:
    """Mean without NaN; NaN where nothing else is there."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def percent(fraction: float) -> float:
    return round(100 * float(fraction), 2)


def scalar_names(classes: Sequence[str]) -> list[str]:
    """Class names as parts of a scalar's name, all different.

    Letters of any language, digits, '.', '-' and '_' stay. All else becomes '_', as a scalar gives its name to curves
    in TensorBoard and, by ``save_best``, to files.
    """
    names: list[str] = []
    for name in classes:
        safe = re.sub(r'[^\w.-]+', '_', name)
        while safe in names:
            safe += '_'
        names.append(safe)
    return names


def render_table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Names and fractions as a plain-text table of percentages (Markdown's form, so it pastes into docs)."""
    table = Table(box=box.MARKDOWN)
    for i, title in enumerate(header):
        table.add_column(title, justify='right' if i else 'left', no_wrap=True)
    for name, values in rows:
        table.add_row(Text(name), *(f'{percent(value):.2f}' for value in values))
    # Wide enough for any table: a log file does not wrap.
    text = io.StringIO()
    console = Console(file=text, width=1000, color_system=None, force_terminal=False)
    console.print(table)
    return '\n'.join(line.strip() for line in text.getvalue().splitlines() if line.strip())
