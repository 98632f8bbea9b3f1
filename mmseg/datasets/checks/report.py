"""The result of a check, as text and as plain data."""

from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .findings import GRAVITY, SHOWN, Finding
from .verdict import Summary

COLOURS = {'error': 'bold red', 'warning': 'yellow', 'note': 'cyan'}


@dataclass
class Report:
    """What a check found.

    Attributes:
        summaries: the figures of each split.
        findings: what is wrong, the gravest first.
        classes: names of the classes; None where the splits have none.
        seconds: how long it took.
    """

    summaries: list[Summary]
    findings: list[Finding]
    classes: list[str] | None
    seconds: float

    def count(self, gravity: str) -> int:
        """How many findings are an 'error', a 'warning' or a 'note'."""
        return sum(finding.gravity == gravity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """No errors; there may be warnings."""
        return self.count('error') == 0

    def to_dict(self) -> dict:
        """Plain data, for JSON."""
        splits = [{**asdict(s), 'sizes': [[*size, count] for size, count in s.sizes.items()]} for s in self.summaries]
        return {
            'ok': self.ok,
            'errors': self.count('error'),
            'warnings': self.count('warning'),
            'classes': self.classes,
            'splits': splits,
            'findings': [finding.to_dict() for finding in self.findings],
            'seconds': round(self.seconds, 2),
        }

    def show(self, console: Console) -> None:
        """Print the tables, the findings and the verdict."""
        console.print(self._splits_table())
        if self.classes:
            console.print(self._classes_table())
        for finding in self.findings:
            _show_finding(finding, console)
        errors, warnings = (f'{n} {word}{"s" * (n != 1)}' for n, word in self._counts())
        images = sum(summary.images for summary in self.summaries)
        verdict = '[bold green]Good[/]' if self.ok else '[bold red]Not good[/]'
        console.print(f'{verdict}: {errors}, {warnings} in {images} images, {self.seconds:.1f} s.', highlight=False)

    def _counts(self) -> list[tuple[int, str]]:
        return [(self.count(word), word) for word in GRAVITY[:2]]

    def _splits_table(self) -> Table:
        table = Table('split', box=box.SIMPLE)
        for heading in ('images', 'height x width', 'ignored pixels', 'labels in the files'):
            table.add_column(heading, justify='right')
        for summary in self.summaries:
            share = f'{summary.ignored / summary.pixels:.2%}' if summary.pixels else '-'
            row = (str(summary.images), _sizes(summary), share, _ranges(list(summary.labels)))
            table.add_row(escape(summary.name), *row)
        return table

    def _classes_table(self) -> Table:
        """Shares of the labelled pixels, and in brackets how many images have the class."""
        table = Table('class', box=box.SIMPLE)
        for summary in self.summaries:
            table.add_column(f'{escape(summary.name)}: pixels (images)', justify='right')
        for index, name in enumerate(self.classes):
            cells = []
            for summary in self.summaries:
                if index >= len(summary.class_pixels):
                    cells.append('-')
                    continue
                share = summary.class_pixels[index] / max(sum(summary.class_pixels), 1)
                cells.append(f'{share:.3%} ({summary.class_images[index]})')
            table.add_row(f'{index} {escape(name)}', *cells)
        return table


def _show_finding(finding: Finding, console: Console) -> None:
    files = f' [{len(finding.files)} {"file" if len(finding.files) == 1 else "files"}]' if finding.files else ''
    head = f'[{COLOURS[finding.gravity]}]{finding.gravity}[/] {escape(finding.split)}: '
    console.print(f'{head}{escape(finding.message + files)} ({finding.code})', highlight=False, soft_wrap=True)
    lines = [f'    {file}' for file in finding.files[:SHOWN]]
    if len(finding.files) > SHOWN:
        lines.append(f'    ... and {len(finding.files) - SHOWN} more (--json lists all)')
    if finding.fix:
        lines += ['  fix:', *(f'    {line}' for line in finding.fix.splitlines())]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _sizes(summary: Summary) -> str:
    if not summary.sizes:
        return '-'
    if len(summary.sizes) == 1:
        return '{}x{}'.format(*next(iter(summary.sizes)))
    heights, widths = zip(*summary.sizes, strict=True)
    return f'{min(heights)}..{max(heights)} x {min(widths)}..{max(widths)}'


def _ranges(values: list[int]) -> str:
    """'0-10, 255'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    shown = ', '.join(str(a) if a == b else f'{a}-{b}' for a, b in runs[:8])
    return shown + (', ...' if len(runs) > 8 else '') or '-'
