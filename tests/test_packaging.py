"""What is written in two places for the sake of users' habits agrees."""

import re
from pathlib import Path

import pytest

from mmseg import __version__

tomllib = pytest.importorskip('tomllib', reason='needs Python 3.11')
ROOT = Path(__file__).parents[1]


def test_requirements_txt_lists_what_pyproject_needs():
    needed = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['dependencies']
    lines = [line.strip() for line in (ROOT / 'requirements.txt').read_text().splitlines()]
    assert sorted(line for line in lines if line and not line.startswith('#')) == sorted(needed)


def test_citation_has_the_version():
    assert re.search(r'^version: (\S+)$', (ROOT / 'CITATION.cff').read_text(), re.MULTILINE)[1] == __version__
