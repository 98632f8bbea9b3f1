"""The command line: exit codes, messages, several processes."""

import errno
import io
import os
import subprocess
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmseg.apis import init_model, predict
from mmseg.cli import main

ROOT = Path(__file__).parents[2]
CONFIG = 'configs_local/lrformer/lrformer-n_scenes-128x128.py'
WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without CUDA')


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'n.pth'
    torch.save(dict(state_dict=init_model(ROOT / CONFIG, device='cpu').state_dict()), path)
    return str(path)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / 'photos').mkdir()
    for i in range(5):
        image = np.random.default_rng(i).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / 'photos' / f'{i}.png'), image)
    return tmp_path / 'photos'


@pytest.fixture(autouse=True)
def own_logger(monkeypatch):
    """As in a process of its own: a logger of an earlier test may write to what was captured then."""
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())


def run(*words):
    return main(['predict', *words])


def test_names_on_stdin_and_a_failure(photos, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('sys.stdin', io.StringIO(f'{photos}/0.png\n{photos}/gone.png\n'))
    options = ['--device', 'cpu', '--out', tmp_path / 'out', '--save', 'labels', 'csv']
    assert run(ROOT / CONFIG, '-', '--checkpoint', weights, *options) == 1
    said = capsys.readouterr()
    assert said.err.startswith('failed:') and 'gone.png' in said.err and said.err.count('\n') == 1
    assert '1 images in' in said.out and '1 failed' in said.out
    assert (tmp_path / 'out' / 'labels' / '0.png').is_file()


def test_options_of_the_config_and_a_run_without_failures(photos, weights, tmp_path, capsys):
    words = ['--checkpoint', weights, '--out', tmp_path / 'out', '--save', 'labels', '--device', 'cpu']
    assert run(ROOT / CONFIG, photos, *words) == 0
    slide = ['mode=slide', 'crop_size=(64,64)', 'stride=(32,32)']
    options = ['--cfg-options', *(f'model.test_cfg.{option}' for option in slide)]
    assert run(ROOT / CONFIG, photos, *words, '--resume') == 0
    assert run(ROOT / CONFIG, photos, *words, '--resume', *options) == 2
    assert 'other settings (model' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nowhere', '--out', 'out'], "input 'nowhere' does not exist"),
        (['.', '--out', 'out'], "folder '.' has no image"),
        (['a.png', '--out', 'a.png'], 'weights are missing'),
        (['a.png', '--out', 'a.png', '--checkpoint', 'gone.pth'], "'gone.pth' does not exist"),
        pytest.param(['a.png', '--out', 'out', '--amp', 'float16'], 'needs a CUDA device', marks=WITHOUT_CUDA),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, weights, words, message):
    monkeypatch.chdir(tmp_path)
    if 'a.png' in words:
        (tmp_path / 'a.png').write_bytes(b'')
    if '--amp' in words:
        words = [*words, '--checkpoint', weights, '--device', 'cpu']
    assert run(ROOT / CONFIG, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith('error: ') and message in said and said.count('\n') == 1


def test_a_folder_that_cannot_be_written(photos, weights, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert run(ROOT / CONFIG, photos, '--checkpoint', weights, '--device', 'cpu', '--out', tmp_path / 'file') == 2
    assert 'file' in capsys.readouterr().err


def test_a_full_disk_is_one_line(photos, weights, tmp_path, monkeypatch, capsys):
    def full(*_, **options):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('mmseg.inference.folder.ResultFolder.write', full)
    assert run(ROOT / CONFIG, photos, '--checkpoint', weights, '--device', 'cpu', '--out', tmp_path / 'out') == 1
    said = capsys.readouterr().err
    assert 'No space left on device' in said and '--resume' in said and said.count('\n') == 1


def test_two_processes_share_the_images_and_the_first_merges(photos, weights, tmp_path):
    (photos / 'bad.png').write_bytes(b'no image')
    options = ['--save', 'labels', 'csv', 'coco', '--out', tmp_path / 'two', '--checkpoint', weights]
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    command = [str(word) for word in ('bash', 'tools/dist_predict.sh', CONFIG, photos, 2, *options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240)
    assert done.returncode == 1, done.stderr
    assert '5 images in' in done.stdout and '1 failed' in done.stdout
    assert len(list((tmp_path / 'two' / '.predict').glob('journal-000001-*'))) == 2
    model = init_model(ROOT / CONFIG, weights, device='cpu')
    predict(model, photos, tmp_path / 'one', save=['labels', 'csv', 'coco'])
    for path in (tmp_path / 'one').rglob('*.*'):
        if path.is_file() and '.predict' not in path.parts:
            assert path.read_bytes() == (tmp_path / 'two' / path.relative_to(tmp_path / 'one')).read_bytes(), path


def test_a_job_that_its_launcher_started_again_goes_on(photos, weights, tmp_path, monkeypatch):
    words = [
        ROOT / CONFIG,
        photos,
        '--checkpoint',
        weights,
        '--device',
        'cpu',
        '--out',
        tmp_path / 'out',
        '--save',
        'labels',
    ]
    assert run(*words) == 0
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out' / 'labels').iterdir()}
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'a')
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert run(*words) == 0
    assert stamps == {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out' / 'labels').iterdir()}
