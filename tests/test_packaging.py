"""What is written in two places for the sake of users' habits agrees, and a wheel has all that it needs."""

import os
import re
import subprocess
import sys
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


def test_a_wheel_has_configs_and_list_of_models_and_finds_them_without_the_clone(tmp_path):
    built = tmp_path / 'built'
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'egg_info', '-e', tmp_path, 'build_py', '-d', built], cwd=ROOT, check=True
    )
    configs = {path.relative_to(ROOT) for path in (ROOT / 'configs_local').rglob('*.py')}
    shipped = built / 'mmseg/shipped'
    assert {path.relative_to(shipped) for path in shipped.rglob('*.py')} == configs
    assert (built / 'mmseg/py.typed').exists() and (built / 'mmseg/report/templates/test.html').exists()
    program = (
        'from mmengine.config import Config; from mmseg import zoo; '
        'print(*(Config.fromfile(zoo.config_file(name)).filename for name in list(zoo.models())[:2]))'
    )
    environment = {**os.environ, 'PYTHONPATH': str(built)}
    command = [sys.executable, '-c', program]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert [str(shipped) in path for path in run.stdout.split()] == [True, True]
