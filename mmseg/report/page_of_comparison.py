"""The page that puts tests side by side."""

from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from .page import read_page, write_page
from .spread import LEVEL, image_counts, interval, mean_iou, resampled_iou

SHOWN = 24  # images


def write_comparison(reports: Sequence[str | Path], folder: str | Path) -> Path:
    """Write ``index.html`` that compares tests of the same images; differences are to the first.

    Args:
        reports: folders or pages that :func:`.write_test_report` wrote.
        folder: where.

    Returns:
        The page.

    Raises:
        ValueError: fewer than two reports, or of other images or classes.
        FileNotFoundError: there is no such report.
    """
    if len(reports) < 2:
        raise ValueError(f'--compare puts two or more reports side by side, not {len(reports)}')
    pages = [Path(report, 'index.html') if Path(report).is_dir() else Path(report) for report in reports]
    for page in pages:
        if not page.is_file():
            raise FileNotFoundError(f'{str(page)!r} does not exist: `lrformer test ... --report DIR` writes it')
    tests = [read_page(page, 'data', 'thumbs', 'pictures') for page in pages]
    found = [test[0] for test in tests]
    classes = [row['name'] for row in found[0]['classes']]
    for page, data in zip(pages, found, strict=True):
        if [row['name'] for row in data['classes']] != classes:
            raise ValueError(f'{page} has other classes than {pages[0]}: they cannot be compared')
    places = _same_images(pages, [data['images'] for data in found])
    names = sorted(places[0])
    rows = [[data['images'][at[name]] for name in names] for data, at in zip(found, places, strict=True)]
    shown = _most_different([[score for _, score, _ in of_run] for of_run in rows])

    counts = [
        image_counts(
            {name: np.array(row[2], dtype=np.int64) for name, row in zip(names, of_run, strict=True)},
            names,
            len(classes),
        )
        for of_run in rows
    ]
    ious = resampled_iou(counts, len(classes))
    titles = [data['run']['name'] for data in found]
    runs = [
        dict(
            name=title if titles.count(title) == 1 else str(report),
            checkpoint=data['run']['checkpoint'],
            speed=data['run']['speed'],
            metrics=data['metrics'],
            IoU=[row['IoU'] for row in data['classes']],
            difference=interval(mean_iou(iou) - mean_iou(ious[0])),
            differences=interval(iou - ious[0]),
        )
        for title, report, data, iou in zip(titles, reports, found, ious, strict=True)
    ]
    data = dict(
        runs=runs,
        classes=[dict(name=row['name'], colour=row['colour']) for row in found[0]['classes']],
        images=[[names[i], [of_run[i][1] for of_run in rows]] for i in shown],
        count=len(names),
    )

    def kept(block: int) -> list[list]:
        """By image and run; None where a run kept nothing."""
        return [[test[block].get(str(at[names[i]])) for test, at in zip(tests, places, strict=True)] for i in shown]

    title = ' and '.join(run['name'] for run in runs)
    blocks = dict(data=data, thumbs=kept(1), pictures=kept(2))
    return write_page(Path(folder, 'index.html'), 'comparison.html', title, dict(level=str(LEVEL)), blocks)


def _same_images(pages: Sequence[Path], images: Sequence[list]) -> list[dict[str, int]]:
    """For each run the positions of its images by names that are the same in all; folders above may differ."""
    for of in (str, lambda path: PurePath(path).name):
        found = [{of(row[0]): i for i, row in enumerate(rows)} for rows in images]
        complete = all(len(at) == len(rows) for at, rows in zip(found, images, strict=True))
        if complete and all(at.keys() == found[0].keys() for at in found):
            return found
    numbers = ', '.join(f'{page} has {len(rows)}' for page, rows in zip(pages, images, strict=True))
    raise ValueError(f'the reports are not of the same images ({numbers}), so their figures cannot be compared')


def _most_different(scores: list[list[float | None]]) -> list[int]:
    values = np.array(scores, dtype=float)
    spread = np.nan_to_num(np.abs(values - values[0]).max(axis=0))
    return np.argsort(-spread, kind='stable')[:SHOWN].tolist()
