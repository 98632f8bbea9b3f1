"""The page of a test."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mmseg.evaluation.metrics.figures import divide, mean, per_class_figures
from mmseg.version import __version__

from .collecting import SCORE_BINS, Facts, image_iou
from .page import write_page
from .regions import BANDS, BORDER, SIDES
from .spread import LEVEL, image_counts, interval, mean_iou, resampled_iou

CONFIDENCE_BINS = 20
SHOWN = 24  # images of a group


def write_test_report(
    folder: str | Path,
    facts: Facts,
    metrics: Mapping[str, float],
    classes: Sequence[str],
    palette: np.ndarray,
    run: Mapping[str, object],
) -> Path:
    """Write ``index.html`` into a folder.

    Args:
        folder: where.
        facts: what :class:`.ReportMetric` collected.
        metrics: the metrics of the test, in percent, by name.
        classes: names, by index.
        palette: C x 3, uint8, RGB.
        run: about the run: ``name``, ``config`` (its text), ``checkpoint``, ``sha256``, ``command``, ``speed`` (names
            and texts).

    Returns:
        The file.
    """
    names = sorted(facts.images)
    scores = [image_iou(facts.images[name]) for name in names]
    above = os.path.commonprefix(names).rfind('/') + 1  # folders that all images are in say nothing
    resampled = resampled_iou([image_counts(facts.images, names, len(classes))], len(classes))[0]
    data = dict(
        run={**run, 'versions': _versions(), 'time': time.strftime('%Y-%m-%d %H:%M')},
        metrics=metrics,
        level=LEVEL,
        spread=interval(mean_iou(resampled)),
        classes=_class_rows(facts, classes, palette, interval(resampled)),
        matrix=facts.matrix,
        images=[[name[above:], score, facts.images[name]] for name, score in zip(names, scores, strict=True)],
        groups=_groups(facts, names, scores),
        borders=_bands(facts),
        sizes=_sizes(facts),
        scores=None if facts.scores is None else _confidence(facts.scores),
    )
    index = {name: i for i, name in enumerate(names)}
    thumbs = {index[name]: thumb for name, thumb in facts.gallery.thumbs.items()}
    pictures = {index[name]: picture for name, picture in facts.gallery.pictures.items()}
    title = f'Test of {run["name"]}'
    words = dict(level=LEVEL, border=f'{100 * BORDER:g}')
    blocks = dict(data=data, thumbs=thumbs, pictures=pictures)
    return write_page(Path(folder, 'index.html'), 'test.html', title, words, blocks)


def _class_rows(facts: Facts, classes: Sequence[str], palette: np.ndarray, ends: list) -> list[dict]:
    figures = per_class_figures(facts.matrix)
    hit, labelled, predicted = facts.borders
    border = divide(hit, labelled + predicted - hit)
    share = divide(facts.matrix.sum(axis=1), facts.matrix.sum())
    return [
        dict(
            name=name,
            colour='#{:02x}{:02x}{:02x}'.format(*palette[i]),
            IoU=figures['IoU'][i],
            low=ends[0][i],
            high=ends[1][i],
            Acc=figures['Acc'][i],
            Precision=figures['Precision'][i],
            border=border[i],
            share=share[i],
        )
        for i, name in enumerate(classes)
    ]


def _groups(facts: Facts, names: list[str], scores: list[float]) -> dict[str, list[int]]:
    """The images of which there are pictures, as positions in ``names``: the worst, those near the median, the best."""
    index = {name: i for i, name in enumerate(names)}
    gallery = facts.gallery
    middle = np.nanmedian(scores) if not np.isnan(scores).all() else 0.0
    near = [name for name in gallery.pictures if not np.isnan(scores[index[name]])]
    near.sort(key=lambda name: (abs(scores[index[name]] - middle), name))
    chosen = dict(worst=gallery.worst.names, median=near, best=gallery.best.names)
    return {group: [index[name] for name in members[:SHOWN]] for group, members in chosen.items()}


def _bands(facts: Facts) -> dict:
    """Within w pixels of a border, and farther inside than w: accuracy and mIoU, for each w of ``BANDS``."""
    within = np.cumsum(facts.bands, axis=0)
    beyond = facts.bands.sum(axis=0) - within
    return dict(
        widths=BANDS,
        **{
            f'{figure}_{place}': [of(counts) for counts in part[:-1]]
            for place, part in (('within', within), ('beyond', beyond))
            for figure, of in (('acc', _accuracy), ('miou', _miou))
        },
        share=[float(divide(part[1].sum(), facts.matrix.sum())) for part in within[:-1]],
    )


def _accuracy(counts: np.ndarray) -> float:
    return float(divide(counts[0].sum(), counts[1].sum()))


def _miou(counts: np.ndarray) -> float:
    return mean(divide(counts[0], counts[1] + counts[2] - counts[0]))


def _sizes(facts: Facts) -> list[dict]:
    ends = [0, *SIDES, None]
    found = []
    for i, (hit, pixels, halves, regions) in enumerate(facts.sizes):
        figures = dict(recall=_ratio(hit, pixels), found=_ratio(halves, regions))
        by_class = dict(recall_by_class=divide(hit, pixels), regions_by_class=regions)
        found.append(
            dict(side=ends[i : i + 2], regions=int(regions.sum()), pixels=int(pixels.sum()), **figures, **by_class)
        )
    return found


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return float(divide(part.sum(), whole.sum()))


def _confidence(scores: np.ndarray) -> dict:
    """Counts of pixels by confidence, the share of right ones among them, and the expected calibration error."""
    wrong, right = scores.reshape(2, CONFIDENCE_BINS, -1).sum(axis=2)
    middles = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS
    sure = (scores.sum(axis=0) * middles).reshape(CONFIDENCE_BINS, -1).sum(axis=1)
    pixels = wrong + right
    gap = np.abs(right - sure)
    error = float(divide(gap.sum(), pixels.sum()))
    return dict(wrong=wrong, right=right, accuracy=divide(right, pixels), confidence=divide(sure, pixels), error=error)


def _versions() -> dict[str, str]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return dict(
        lrformer=__version__,
        torch=torch.__version__,
        numpy=np.__version__,
        python=platform.python_version(),
        device=device,
    )
