"""From facts about single samples to what is wrong with a dataset."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..transforms.loading import class_table, is_outside
from .facts import Facts
from .findings import Finding, by_kind, config_lines, finding
from .splits import Split

MOSTLY = 0.9  # share of ignored pixels that is worth a warning
LISTED = 12


@dataclass
class Summary:
    """The figures of one split.

    Attributes:
        name: of the split.
        images: how many.
        pixels: of all annotations that could be read.
        ignored: how many of them count for no class.
        class_pixels, class_images: per class, how many pixels, and images that have one.
        labels: label in the files -> pixels.
        sizes: (height, width) of the images -> how many.
    """

    name: str
    images: int = 0
    pixels: int = 0
    ignored: int = 0
    class_pixels: list[int] = field(default_factory=list)
    class_images: list[int] = field(default_factory=list)
    labels: dict[int, int] = field(default_factory=dict)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)


def judge_split(split: Split, samples: Sequence[Facts]) -> tuple[Summary, list[Finding]]:
    """Everything that one split shows by itself."""
    summary = Summary(split.name, images=len(samples))
    problems = [*split.problems, *(problem for facts in samples for problem in facts.problems)]
    findings = by_kind(problems, split.name)
    summary.sizes = dict(Counter(tuple(facts.image_size) for facts in samples if facts.image_size).most_common())
    findings += _duplicates_within(split, samples)
    findings += _image_kinds(split, samples)
    findings += _palettes(split, samples)
    if split.classes is not None:
        labelled = [facts for facts in samples if facts.values is not None]
        findings += _Labels(split, labelled, summary).findings()
    return summary, findings


class _Labels:
    """The labels of a split against its classes."""

    def __init__(self, split: Split, samples: Sequence[Facts], summary: Summary):
        self.split, self.samples, self.summary = split, samples, summary
        self.num_classes, self.ignore = len(split.classes), split.ignore_index
        pixels, images, self.example = Counter(), Counter(), {}
        for facts in samples:
            for value, count in zip(facts.values.tolist(), facts.counts.tolist(), strict=True):
                pixels[value] += int(count)
                images[value] += 1
                self.example.setdefault(value, facts.label)
        self.pixels, self.images = dict(sorted(pixels.items())), images
        self.values = list(self.pixels)
        self.table = class_table(max(self.values, default=0), split.reduce_zero_label, split.label_map, self.ignore)
        self._count_classes()
        outside = is_outside(self.table[self.values], self.num_classes, self.ignore) if self.values else []
        self.outside = [value for value, bad in zip(self.values, outside, strict=True) if bad]

    def _count_classes(self) -> None:
        summary, table = self.summary, self.table
        summary.labels, summary.pixels = self.pixels, sum(self.pixels.values())
        summary.ignored = sum(count for value, count in self.pixels.items() if table[value] == self.ignore)
        summary.class_pixels, summary.class_images = [0] * self.num_classes, [0] * self.num_classes
        for facts in self.samples:
            classes = table[facts.values]
            for index in set(classes.tolist()) & set(range(self.num_classes)):
                summary.class_images[index] += 1
                summary.class_pixels[index] += int(facts.counts[classes == index].sum())

    def findings(self) -> list[Finding]:
        """All of them."""
        findings = []
        name, n = self.split.name, self.num_classes
        if 0 <= self.ignore < n:
            where = config_lines(name, 'ignore_index=255')
            message = f'{self.ignore} is {self.split.classes[self.ignore]!r}'
            findings.append(finding('ignored-class', name, message, fix=where))
        if not self.values:
            return findings
        return findings + self._outside() + self._masks() + self._ignored()

    # ---- labels that are no class

    def _outside(self) -> list[Finding]:
        if not self.outside:
            return []
        files = [facts.label for facts in self.samples if np.isin(facts.values, self.outside).any()]
        code, fix = self._diagnosis()
        return [finding(code, self.split.name, self._list(self.outside), files, fix)]

    def _list(self, values: Sequence[int]) -> str:
        listed = [
            f'{value} ({self.images[value]} {_plural(self.images[value], "file")}, '
            f'{self.pixels[value] / self.summary.pixels:.2%} of the pixels, such as {self.example[value]})'
            for value in values[:LISTED]
        ]
        more = f' and {len(values) - LISTED} more' if len(values) > LISTED else ''
        return f'{_plural(len(values), "label")} {", ".join(listed)}{more}; there are {self.num_classes} classes'

    def _diagnosis(self) -> tuple[str, str]:
        name, n, split = self.split.name, self.num_classes, self.split
        known = [value for value in self.values if self.table[value] != self.ignore]
        if self.outside == [n] and not split.reduce_zero_label and not split.label_map:
            zero = '0 does not occur' if 0 not in self.pixels else 'if 0 means "no class"'
            return 'off-by-one', (
                f'{config_lines(name, "reduce_zero_label=True")}  # {zero}\n'
                f'or, if {n} means "no class": {self._map({n: -1})}\n'
                f'or add the class that {n} stands for to classes'
            )
        step = math.gcd(*known) if len(known) > 1 else 1
        if step > 1 and max(known) // step < n and not split.reduce_zero_label:
            mapping = {value: value // step for value in known if value}
            return 'multiplied-labels', self._map(mapping)
        ignored = self._map(dict.fromkeys(self.outside[:LISTED], -1))
        if len(self.outside) > 3 * n + 20:
            return 'label-outside-classes', (
                'so many labels are no class indices: were the annotations resized with interpolation, or are they '
                'instance ids, heights or pictures? Convert them to class indices'
            )
        return 'label-outside-classes', (
            f'correct the files; or add the classes; or, to ignore these labels: {ignored}'
            f'{"  # and so on" if len(self.outside) > LISTED else ""}'
        )

    def _map(self, mapping: dict[int, int]) -> str:
        lines = config_lines(self.split.name, f'metainfo=dict(label_map={mapping})')
        return lines + ('  # beside what its label_map says now' if self.split.label_map else '')

    # ---- masks of 0 and 255

    def _masks(self) -> list[Finding]:
        name = self.split.name
        if self.ignore != 255 or self.num_classes < 2 or self.table[255] != 255 or 255 not in self.pixels:
            return []
        fix = self._map({255: 1})
        if self.values == [0, 255]:
            message = f'no other label occurs, and 255 ({self.pixels[255] / self.summary.pixels:.1%}) is ignored'
            return [finding('binary-mask', name, message, fix=fix)]
        has = [{0: 0 in f.values, 1: 1 in f.values, 255: 255 in f.values} for f in self.samples]
        if self.num_classes == 2 and 1 in self.pixels and not any(h[1] and h[255] for h in has):
            files = [f.label for f, h in zip(self.samples, has, strict=True) if h[0] and h[255]]
            if files:
                return [finding('mixed-masks', name, files=files)]
        return []

    # ---- ignored pixels, unseen classes

    def _ignored(self) -> list[Finding]:
        name, summary = self.split.name, self.summary
        if summary.ignored == summary.pixels:
            return [finding('nothing-labelled', name, fix=f'labels of the files are {self.values[:LISTED]}')]
        findings = []
        empty = [f.label for f in self.samples if (self.table[f.values] == self.ignore).all()]
        if empty:
            findings.append(finding('fully-ignored', name, files=empty))
        if summary.ignored >= MOSTLY * summary.pixels:
            findings.append(finding('mostly-ignored', name, f'{summary.ignored / summary.pixels:.1%}'))
        return findings


def judge_classes(splits: Sequence[Split], summaries: Sequence[Summary]) -> list[Finding]:
    """Classes that no annotation has: of the parts of a joined dataset, one that any of them has is seen."""
    groups = defaultdict(list)
    for split, summary in zip(splits, summaries, strict=True):
        if split.classes and summary.labels:
            groups[split.loader, len(split.classes)].append((split, summary))
    return [found for group in groups.values() for found in _never_seen(*zip(*group, strict=True))]


def _never_seen(splits: Sequence[Split], summaries: Sequence[Summary]) -> list[Finding]:
    name = splits[0].name if len(splits) == 1 else splits[0].loader
    classes, pixels = splits[0].classes, np.sum([summary.class_pixels for summary in summaries], axis=0)
    n, unseen = len(classes), np.flatnonzero(pixels == 0).tolist()
    if not unseen or len(unseen) == n:
        return []
    training = 'train' in name
    reduced = all(s.reduce_zero_label and 0 in summary.labels for s, summary in zip(splits, summaries, strict=True))
    if reduced and unseen == [n - 1] and training:
        fix = config_lines(name, 'reduce_zero_label=False') + '  # and leave it out of LoadAnnotations'
        message = f'label {n} does not occur, and 0 is ignored because of reduce_zero_label=True'
        return [finding('off-by-one', name, message, fix=fix, gravity='warning')]
    message = ', '.join(f'{index} {classes[index]!r}' for index in unseen[:LISTED])
    message += f' and {len(unseen) - LISTED} more' if len(unseen) > LISTED else ''
    return [finding('class-never-seen', name, message, gravity='' if training else 'note')]


# ---- kinds of images


def _image_kinds(split: Split, samples: Sequence[Facts]) -> list[Finding]:
    """Images that become tensors of other channels or types than most, which a loader of 'unchanged' files lets by."""
    kinds = Counter(facts.image_kind for facts in samples if facts.image_kind)
    if len(kinds) < 2:
        return []
    usual = kinds.most_common(1)[0][0]
    message = 'most have {} channels of {}'.format(*usual)
    files = [
        '{}: {} channels of {}'.format(f.image, *f.image_kind) for f in samples if f.image_kind not in (None, usual)
    ]
    return [finding('image-kinds-differ', split.name, message, files)]


# ---- palettes


def _palettes(split: Split, samples: Sequence[Facts]) -> list[Finding]:
    """Files whose palette gives a label another colour than most files do."""
    votes = defaultdict(Counter)
    for facts in samples:
        for value, colour in (facts.colours or {}).items():
            votes[value][colour] += 1
    usual = {value: colours.most_common(1)[0][0] for value, colours in votes.items()}
    files = [f.label for f in samples if any(usual[v] != colour for v, colour in (f.colours or {}).items())]
    return [finding('palettes-differ', split.name, files=files)] if files else []


# ---- duplicates


def _duplicates_within(split: Split, samples: Sequence[Facts]) -> list[Finding]:
    groups = defaultdict(list)
    for facts in samples:
        if facts.image_hash is not None:
            groups[facts.image_hash].append(facts)
    same, contradicting = [], []
    for group in groups.values():
        if len(group) > 1:
            differ = len({facts.label_hash for facts in group} - {None}) > 1
            (contradicting if differ else same).append(' = '.join(facts.image for facts in group))
    findings = [finding('duplicate-images', split.name, files=same)] if same else []
    return findings + ([finding('contradicting-duplicates', split.name, files=contradicting)] if contradicting else [])


def judge_sets(splits: Sequence[Split], samples: Sequence[Sequence[Facts]]) -> list[Finding]:
    """What only several splits together show: images in two of them, classes that differ."""
    findings = []
    for i, first in enumerate(splits):
        known = {facts.image_hash: facts.image for facts in samples[i] if facts.image_hash is not None}
        for j in range(i + 1, len(splits)):
            pair = f'{first.name}, {splits[j].name}'
            training = ['train' in split.name for split in (first, splits[j])]
            files = [f'{known[f.image_hash]} = {f.image}' for f in samples[j] if f.image_hash in known]
            if files and not all(training):
                code = 'train-val-duplicates' if any(training) else 'val-test-duplicates'
                findings.append(finding(code, pair, f'of {len(samples[j])}', files))
            if first.classes and splits[j].classes and list(first.classes) != list(splits[j].classes):
                message = f'{len(first.classes)} and {len(splits[j].classes)} classes'
                findings.append(finding('classes-differ', pair, message))
    return findings


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f'{word}s'
