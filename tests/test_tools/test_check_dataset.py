"""tools/misc/check_dataset.py as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.camvid import CAMVID_ROOT, needs_camvid
from tests.test_datasets.test_checks.scene_files import config, image, label, relabel, write_scenes

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, str(ROOT / 'tools/misc/check_dataset.py'), *map(str, arguments)]
    # A C locale and a pipe: names must still be printed.
    env = {**os.environ, 'PYTHONIOENCODING': 'ascii'}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)


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


def test_a_good_dataset_and_a_bad_one(tmp_path, config_file):
    options = [config_file, '--nproc', 2, '--cfg-options', f'data_root={tmp_path / "data"}']
    done = run(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Good: 0 errors, 0 warnings in 17 images' in done.stdout

    # A warning alone is no error.
    extra = tmp_path / 'data/images/train/\xe9.PNG'
    extra.write_bytes(image(tmp_path / 'data', 1).read_bytes())
    done = run(*options)
    assert done.returncode == 0 and '1 warning' in done.stdout and '(unused-image)' in done.stdout, done.stderr

    relabel(label(tmp_path / 'data', 3), lambda labels: labels + 100)
    done = run(*options, '--json')
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report['ok'] and (report['errors'], report['warnings']) == (1, 1)
    assert [finding['code'] for finding in report['findings']] == ['label-outside-classes', 'unused-image']
    assert report['findings'][0]['files'] == [str(label(tmp_path / 'data', 3))]
    assert 'Reading train: 12/12' in done.stderr

    done = run(config_file)
    assert done.returncode == 1 and 'nowhere/images/train' in done.stdout and '(dataset)' in done.stdout


def test_bad_arguments(tmp_path, config_file):
    done = run(tmp_path / 'pet.py')
    assert done.returncode == 1 and "did you mean" in done.stderr and 'pets.py' in done.stderr
    assert run(config_file, '--nproc', 0).returncode == 2


@needs_camvid
def test_camvid_has_no_fault():
    recipe = ROOT / 'configs_local/lrformer/lrformer-t-40k_camvid-360x480.py'
    done = run(recipe, '--nproc', 2, '--cfg-options', f'data_root={CAMVID_ROOT}')
    assert done.returncode == 0 and 'Good: 0 errors, 0 warnings in 701 images' in done.stdout, done.stdout
