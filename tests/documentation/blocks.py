"""The blocks of code of all pages."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    str(path.relative_to(ROOT))
    for pattern in ('README.md', 'CONTRIBUTING.md', 'model_release/*.md', 'docs/**/*.md', 'examples/**/*.md')
    for path in sorted(ROOT.glob(pattern))
    if 'node_modules' not in path.parts
]
FENCE = re.compile(r'^ *```(\w*)[^\n]*\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: its file, from the root of the project.
        line: where it begins there.
        language: what stands behind its fence, '' for nothing.
        text: what is in it.
    """

    page: str
    line: int
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding='utf-8')
    return [Block(page, text.count('\n', 0, match.start()) + 2, match[1], match[2]) for match in FENCE.finditer(text)]


def logical_lines(script: str) -> list[str]:
    """The lines of a script, those that go on below joined."""
    return script.replace('\\\n', ' ').splitlines()
