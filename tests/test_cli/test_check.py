"""``lrformer check`` as a user runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg.cli import main
from tests.camvid import CAMVID_ROOT, needs_camvid
from tests.test_datasets.test_checks.scene_files import config, image, label, relabel, write_scenes

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/misc/check_dataset.py'


@pytest.fixture
def run(capfd):
    """Run the command in this process; gives its exit code and what it printed on stdout and stderr."""
    return lambda *arguments: (main(['check', *arguments]), *capfd.readouterr())


@pytest.fixture
def config_file(tmp_path):
    write_scenes(tmp_path / 'data')
    datasets = config(tmp_path / 'data')
    for dataset in datasets.values():
        del dataset['data_root']  # to come from the top level
    file = tmp_path / 'pets.py'
    loaders = ''.join(f'{split}_dataloader = dict(dataset={dataset!r})\n' for split, dataset in datasets.items())
    file.write_text(f"data_root = 'nowhere'\n{loaders}model = dict(decode_head=dict(num_classes=8))\n")
    return file


def test_a_good_dataset_and_a_bad_one(tmp_path, config_file, run):
    options = [config_file, '--nproc', 2, '--cfg-options', f'data_root={tmp_path / "data"}']
    code, printed, errors = run(*options)
    assert code == 0 and 'Good: 0 errors, 0 warnings in 17 images' in printed, printed + errors

    # A warning alone is no error.
    (tmp_path / 'data/images/train/é.PNG').write_bytes(image(tmp_path / 'data', 1).read_bytes())
    code, printed, _ = run(*options)
    assert code == 0 and '1 warning' in printed and '(unused-image)' in printed

    relabel(label(tmp_path / 'data', 3), lambda labels: labels + 100)
    code, printed, errors = run(*options, '--json')
    report = json.loads(printed)
    assert code == 1 and not report['ok'] and (report['errors'], report['warnings']) == (1, 1)
    assert [finding['code'] for finding in report['findings']] == ['label-outside-classes', 'unused-image']
    assert report['findings'][0]['files'] == [str(label(tmp_path / 'data', 3))]
    assert 'Reading train: 12/12' in errors

    code, printed, _ = run(config_file, '--splits', 'val')
    assert code == 1 and 'nowhere/images/val' in printed and '(dataset)' in printed and 'train' not in printed


def test_bad_arguments(tmp_path, config_file, run):
    code, _, errors = run(tmp_path / 'pet.py')
    assert code == 2 and re.search("did you mean '.*pets.py'", errors) and errors.count('\n') == 1
    code, _, errors = run(config_file, '--nproc', 0)
    assert code == 2 and 'must be 1 or more, not 0' in errors


def test_from_a_shell_in_a_locale_without_accents(tmp_path, config_file):
    (tmp_path / 'data/images/train/é.png').write_bytes(b'')
    command = [
        sys.executable,
        SCRIPT,
        config_file,
        '--splits',
        'train',
        '--cfg-options',
        f'data_root={tmp_path / "data"}',
    ]
    env = {**os.environ, 'PYTHONIOENCODING': 'ascii'}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 1 and r'\xe9.png' in done.stdout and 'Not good' in done.stdout, done.stderr


@needs_camvid
def test_camvid_has_no_fault(run):
    recipe = ROOT / 'configs_local/lrformer/lrformer-t-40k_camvid-360x480.py'
    code, printed, _ = run(recipe, '--nproc', 2, '--cfg-options', f'data_root={CAMVID_ROOT}')
    assert code == 0 and 'Good: 0 errors, 0 warnings in 701 images' in printed, printed
