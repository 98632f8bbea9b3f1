"""Pictures of classes: how often they are, what colours they have, what they are taken for."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.dataset import BaseDataset

from mmseg.datasets.transforms.base import count_labels
from mmseg.evaluation.metrics.figures import divide
from mmseg.utils.parallel import parallel_map

from .browsing import labels_of


def class_pixels(dataset: BaseDataset, indices: Sequence[int], processes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """How many annotated pixels each class has, and in how many of these samples it is; both C, int64.

    Raises:
        ValueError: an annotation cannot be read.
    """
    classes = len(dataset.metainfo['classes'])
    pixels, images = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for index, counts, reason in parallel_map(partial(_counts, dataset, classes), list(indices), processes):
        if counts is None:
            raise ValueError(f'sample {index}: {reason}')
        pixels += counts
        images += counts > 0
    return pixels, images


def _counts(dataset: BaseDataset, classes: int, index: int) -> np.ndarray:
    values, counts = count_labels(labels_of(dataset, index))
    found = np.zeros(classes, np.int64)
    known = values < classes  # others are ignored
    found[values[known]] = counts[known]
    return found


def frequency_plot(
    pixels: np.ndarray, images: np.ndarray, total: int, names: Sequence[str], palette: np.ndarray
) -> Figure:
    """Classes by their share of the annotated pixels, the most frequent first; ``total`` samples were counted."""
    order = np.argsort(-pixels, kind='stable')
    figure = Figure(figsize=(9, 1 + 0.28 * len(names)), layout='constrained')
    axis = figure.subplots()
    shares = 100 * pixels[order] / max(pixels.sum(), 1)
    places = np.arange(len(order))
    axis.barh(places, shares, color=palette[order] / 255, edgecolor='#555')
    axis.set_yticks(places, [names[i] for i in order])
    axis.invert_yaxis()
    if (shares > 0).any():
        axis.set_xscale('log')
    for place, share, seen in zip(places, shares, images[order], strict=True):
        text = f'{share:.3g} %, in {seen} of {total}' if share else 'not there'
        axis.annotate(
            text, (max(share, axis.get_xlim()[0]), place), (4, 0), textcoords='offset points', va='center', fontsize=8
        )
    axis.margins(x=0.25)
    axis.set_xlabel('% of the annotated pixels, and images with the class')
    return figure


def legend_plot(names: Sequence[str], palette: np.ndarray, columns: int = 4) -> Figure:
    """The colours of classes with their names and numbers."""
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.6 * columns, 0.3 * rows + 0.2), layout='constrained')
    axis = figure.subplots()
    axis.set(xlim=(0, columns), ylim=(rows, 0))
    axis.set_axis_off()
    for i, name in enumerate(names):
        x, y = divmod(i, rows)
        axis.add_patch(Rectangle((x, y + 0.1), 0.12, 0.8, facecolor=palette[i] / 255, edgecolor='#555'))
        axis.text(x + 0.16, y + 0.5, f'{i} {name}', va='center', fontsize=9)
    return figure


def confusion_plot(matrix: np.ndarray, names: Sequence[str], by: str = 'row') -> Figure:
    """A C x C confusion matrix, rows = annotation, in percent of its rows (``by='row'``) or columns ('column')."""
    shares = 100 * np.nan_to_num(divide(matrix, matrix.sum(axis=1 if by == 'row' else 0, keepdims=True)))
    side = 2 + 0.42 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout='constrained')
    axis = figure.subplots()
    drawn = axis.imshow(shares, cmap='Blues', vmin=0, vmax=100)
    figure.colorbar(drawn, label=f'% of the {by}', shrink=0.8)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel='taken for', ylabel='is')
    if len(names) <= 30:
        for i, j in np.argwhere(shares >= 0.5):
            axis.text(
                j,
                i,
                f'{shares[i, j]:.0f}',
                ha='center',
                va='center',
                fontsize=8,
                color='w' if shares[i, j] > 60 else 'k',
            )
    return figure
