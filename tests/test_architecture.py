"""The list of rooms in docs/architecture.md is the house as it stands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line.split('|')[1] for line in (ROOT / 'docs/architecture.md').read_text().splitlines() if line.startswith('| `')
]
FLOOR = {room: -row for row, cell in enumerate(ROWS) for room in re.findall(r'`(\w+)/`', cell)}


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Line and room of each import of another room, also of those inside of functions."""
    package = file.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *([node.module] if node.module else [])]
            names = ['.'.join([*module, alias.name]) for alias in node.names]
        for name in names:
            top, _, rest = name.partition('.')
            room = rest.split('.')[0]
            if top == 'mmseg' and room in FLOOR and room != package[1]:
                yield node.lineno, room


def test_the_list_names_every_room():
    assert set(FLOOR) == {path.parent.name for path in (ROOT / 'mmseg').glob('*/__init__.py')}


@pytest.mark.parametrize('room', FLOOR)
def test_imports_run_downwards(room):
    upwards = [
        f'{file.relative_to(ROOT)}:{line} imports {other}'
        for file in (ROOT / 'mmseg' / room).rglob('*.py')
        for line, other in imported(file)
        if FLOOR[other] > FLOOR[room]
    ]
    assert not upwards
