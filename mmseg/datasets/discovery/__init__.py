"""From a folder that somebody has to a config that trains on it: what ``lrformer new`` does."""

import csv
import io
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from mmseg.utils.atomic_file import atomic_write

from ..formats import Source, Tree, find_source
from ..formats.listed import splits_of_lists
from .classes import Classes, decide
from .config_text import config_text
from .plan import Plan, plan
from .prepare import Pair, Pairs, prepare
from .preview import preview
from .splitting import split
from .survey import Survey, survey

__all__ = ['Discovery', 'discover']

SUFFIX = '_files'  # of the folder beside the config


@dataclass
class Discovery:
    """What was found, and what was written.

    Attributes:
        kind: of the data.
        config, preview, report: the files written.
        splits: split -> number of pairs.
        classes: names, colours and pixels.
        sizes: (height, width) -> images.
        notes: (count, text, examples, left out) of all that deserves a word.
        plan: what the config trains.
        how_split: in words.
        mean, std: for each channel.
    """

    kind: str
    config: Path
    preview: Path
    report: Path
    splits: dict[str, int]
    classes: Classes
    sizes: Counter
    notes: list[tuple[int, str, list[str], bool]]
    plan: Plan
    how_split: str
    mean: list[float]
    std: list[float]

    def lines(self) -> list[str]:
        """The findings, a line each."""
        sizes = ', '.join(f'{count} of {h}x{w}' for (h, w), count in self.sizes.most_common(3))
        more = f' and {len(self.sizes) - 3} more sizes' if len(self.sizes) > 3 else ''
        shown = ', '.join(self.classes.names[:12]) + (', ...' if len(self.classes.names) > 12 else '')
        return [
            f'{sum(self.splits.values())} pairs: {", ".join(f"{n} {name}" for name, n in self.splits.items())}'
            f' ({self.how_split})',
            f'images (height x width): {sizes}{more}',
            f'{len(self.classes.names)} classes, from {self.classes.origin}: {shown}',
        ]


def discover(
    data: str,
    config: str | Path,
    nproc: int = 1,
    kind: str | None = None,
    labels: str | None = None,
    classes: str | None = None,
    ignore_rest: bool = False,
    gpu: bool = False,
    start: str | None = None,
    variant: str | None = None,
    iterations: int | None = None,
    size: int | None = None,
    overwrite: bool = False,
) -> Discovery:
    """Look at a folder or archive and write a config, its lists and a preview.

    The config is written last: where it is, all is there. Until then nothing but whole label maps can have been
    written, with which the next run goes on.

    Args:
        data: the folder, or a ``.zip`` file.
        config: the file to write. Lists, preview, report and drawn label maps go into ``NAME_files`` beside it.
        nproc: processes.
        kind: format of the data (``mmseg.datasets.formats.FORMATS``); None looks for all.
        labels: part of the paths of label maps.
        classes: names parted by commas, a file, or the type of a public data set.
        ignore_rest: what no shape covers is ignored.
        gpu, start, variant, iterations, size: see :func:`.plan.plan`.
        overwrite: replace a config that is there.

    Raises:
        FileNotFoundError: no such data.
        FileExistsError: the config is there.
        ValueError: the data is not understood, or none of it can be used; the message counts what was found.
    """
    config = Path(config).absolute()
    if config.suffix != '.py':
        raise ValueError(f'--out {str(config)!r}: a config is a Python file, and its name ends in .py')
    if config.exists() and not overwrite:
        raise FileExistsError(f'{config} exists: choose another --out, or replace it with --overwrite')
    out = config.with_name(config.stem + SUFFIX)
    tree = Tree(data)
    source = find_source(tree, kind, labels, ignore_rest)
    if not source.samples:
        counted = '; '.join(f'{note.count} {note.text}, such as {note.examples[0]}' for note in source.notes)
        raise ValueError(f'{data!r} looks like {source.kind}, and no image has labels: {counted or "none is named"}')
    said = splits_of_lists(tree, source.samples)
    found = prepare(tree, source, out, nproc)
    seen = survey(found, source.notes, nproc)
    decided = decide(tree, source, seen, classes)
    splits, how = split(seen.pairs, said, source.notes)
    chosen = plan(len(splits['train']), seen.sizes, gpu, start, variant, iterations, size)
    result = Discovery(
        source.kind, config, out / 'preview.jpg', out / 'report.json', {k: len(v) for k, v in splits.items()}, decided,
        seen.sizes, [(n.count, n.text, n.examples, n.left_out) for n in source.notes], chosen, how, seen.mean, seen.std,
    )  # fmt: skip
    _write(result, source, found, splits, seen)
    return result


def _write(result: Discovery, source: Source, found: Pairs, splits: dict[str, list[Pair]], seen: Survey) -> None:
    out = result.preview.parent
    text = config_text(
        source.kind, result.lines(), (found.image_root, found.label_root), str(out), list(splits), result.classes, seen,
        result.plan, min(4, os.cpu_count() or 1),
    )  # fmt: skip
    compile(text, str(result.config), 'exec')
    picture = preview([found.paths(pair) for pair in splits['train']], seen, result.classes)
    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in splits.items():
        _write_whole(out / f'{name}.csv', _csv(pairs))
    _write_whole(result.preview, cv2.imencode('.jpg', picture)[1].tobytes())
    _write_whole(result.report, json.dumps(_report(result), indent=1).encode())
    _write_whole(result.config, text.encode())


def _csv(pairs: list[Pair]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['image', 'label'])
    writer.writerows([pair.image, pair.label] for pair in pairs)
    return file.getvalue().encode()


def _report(result: Discovery) -> dict:
    keys = ('count', 'text', 'examples', 'left_out')
    classes = zip(result.classes.names, result.classes.pixels, strict=True)
    return {
        'kind': result.kind,
        'splits': result.splits,
        'how_split': result.how_split,
        'sizes': {f'{h}x{w}': count for (h, w), count in result.sizes.most_common()},
        'classes': [{'name': name, 'pixels': pixels} for name, pixels in classes],
        'ignored_pixels': result.classes.ignored,
        'mean': result.mean,
        'std': result.std,
        'plan': asdict(result.plan),
        'notes': [dict(zip(keys, note, strict=True)) for note in result.notes],
    }


def _write_whole(path: Path, content: bytes) -> None:
    with atomic_write(str(path)) as file:
        file.write(content)
