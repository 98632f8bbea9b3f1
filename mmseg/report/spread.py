"""How much figures depend on which images were tested: the bootstrap over images."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from mmseg.evaluation.metrics.figures import divide

RESAMPLES, AT_A_TIME = 1000, 50
LEVEL = 95  # percent of the resamples that an interval holds


def image_counts(images: Mapping[str, np.ndarray], names: Sequence[str], classes: int) -> csr_matrix:
    """Hit, annotated and predicted pixels of images, sparse, images x 3C, from ``Facts.images``."""
    rows = [np.full(3 * images[name].shape[1], i) for i, name in enumerate(names)]
    columns = [(images[name][0] + np.arange(3)[:, None] * classes).ravel() for name in names]
    values = [images[name][1:].ravel() for name in names]
    parts = [np.concatenate(part) if part else np.zeros(0, np.int64) for part in (values, rows, columns)]
    return csr_matrix((parts[0], (parts[1], parts[2])), shape=(len(names), 3 * classes), dtype=np.int64)


def resampled_iou(counts: Sequence[csr_matrix], classes: int, seed: int = 0) -> list[np.ndarray]:
    """IoU by class of as many images drawn with replacement, again and again; of several runs the same images.

    Args:
        counts: for each run, of the same images in the same order, what :func:`image_counts` gives.
        classes: C.
        seed: of the draws.

    Returns:
        For each run RESAMPLES x C, NaN where a draw has neither annotation nor prediction of a class.
    """
    images, random = counts[0].shape[0], np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in counts]
    for start in range(0, RESAMPLES, AT_A_TIME):
        size = min(AT_A_TIME, RESAMPLES - start)
        draws = random.multinomial(images, np.full(images, 1 / images), size=size)
        for of_run, part in zip(counts, parts, strict=True):
            part.append((of_run.T @ draws.T).T.reshape(size, 3, classes))
    drawn = [np.concatenate(part) for part in parts]
    return [
        divide(hit, labelled + predicted - hit) for hit, labelled, predicted in (np.moveaxis(d, 1, 0) for d in drawn)
    ]


def interval(values: np.ndarray) -> list[float]:
    """Lower and upper end, along the first axis, of what ``LEVEL`` percent of the values lie in; NaN for none."""
    tail = (100 - LEVEL) / 2
    known = ~np.isnan(values)
    filled = np.where(known.any(axis=0), values, 0.0)
    ends = np.nanpercentile(filled, [tail, 100 - tail], axis=0)
    return np.where(known.any(axis=0), ends, np.nan).tolist()


def mean_iou(values: np.ndarray) -> np.ndarray:
    """Means over classes, resamples x C -> resamples, without NaN."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))
