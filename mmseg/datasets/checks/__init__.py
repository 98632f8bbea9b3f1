"""Reading a whole dataset once, before a training does: what is broken, what is likely meant otherwise."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from mmengine.dataset import BaseDataset

from mmseg.utils.parallel import parallel_map
from mmseg.utils.progress import track

from .facts import Facts, inspect_drawn, inspect_files
from .findings import GRAVITY, Finding, finding
from .report import Report
from .splits import Split, find_splits
from .verdict import judge_classes, judge_sets, judge_split

__all__ = ['Finding', 'Report', 'check_datasets']


def check_datasets(
    datasets: Mapping[str, dict | BaseDataset], nproc: int = 1, num_classes: int | None = None
) -> Report:
    """Read every image and annotation of some datasets, and say what is wrong with them.

    Args:
        datasets: by name, 'train', 'val' and 'test' where they are that: their configs, or datasets. What wrappers
            (repeat, concatenate) contain is checked part by part.
        nproc: number of processes.
        num_classes: that the model predicts, to compare with; None skips that.

    Returns:
        Findings and figures; ``ok`` tells whether there were no errors, ``show`` prints it all.
    """
    start = time.monotonic()
    splits = find_splits(datasets)
    samples = [list(_inspect(split, nproc)) for split in splits]
    summaries, findings = [], []
    for split, facts in zip(splits, samples, strict=True):
        summary, found = judge_split(split, facts)
        summaries.append(summary)
        findings += found + _against_model(split, num_classes)
    findings += judge_classes(splits, summaries) + judge_sets(splits, samples)
    findings.sort(key=lambda finding: GRAVITY.index(finding.gravity))
    classes = next((list(split.classes) for split in splits if split.classes), None)
    return Report(summaries, findings, classes, time.monotonic() - start)


def _inspect(split: Split, nproc: int) -> Iterator[Facts]:
    function = partial(inspect_drawn, split.dataset) if split.drawn else partial(inspect_files, split.reading)
    results = parallel_map(function, split.items, nproc)
    for item, facts, reason in track(results, len(split.items), f'Reading {split.name}', 'images'):
        if facts is None:
            split.note('unreadable-image', str(item), reason)
        else:
            yield facts


def _against_model(split: Split, num_classes: int | None) -> list[Finding]:
    if num_classes is None or not split.classes or num_classes == len(split.classes):
        return []
    message = f'num_classes={num_classes}, the dataset has {len(split.classes)}'
    fix = f'model = dict(decode_head=dict(num_classes={len(split.classes)}))'
    return [finding('num-classes', split.name, message, fix=fix)]
