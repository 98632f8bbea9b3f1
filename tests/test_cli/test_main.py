"""The command ``lrformer``: help, exit codes, and what it says to a user's mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmseg import zoo
from mmseg.cli import main
from mmseg.cli.main import COMMANDS
from mmseg.engine import launch
from mmseg.engine.launch import load_config
from mmseg.engine.processes.preemption import Preempted
from mmseg.inference.folder import KINDS
from mmseg.utils.mistakes import TRACEBACK
from mmseg.version import __version__

from ..test_engine.test_launch import write_config

SCENES = 'lrformer-n_scenes-128x128'


@pytest.fixture(autouse=True)
def without_traceback(monkeypatch):
    monkeypatch.setenv(TRACEBACK, '')
    monkeypatch.setenv('COLUMNS', '80')


@pytest.fixture
def lrformer(capsys):
    """Run the command in this process; gives its exit code and what it printed on stdout and stderr."""
    return lambda *words: (main(words), *capsys.readouterr())


def one_line(errors, message):
    return errors.startswith('error: ') and errors.count('\n') == 1 and message in errors


# Help


def test_help_fits_a_screen_and_lists_all_commands(lrformer):
    code, printed, errors = lrformer('--help')
    assert code == 0 and not errors and all(f'  {name} ' in printed for name in COMMANDS)
    assert len(printed.splitlines()) <= 24 and max(map(len, printed.splitlines())) <= 80
    assert lrformer() == (2, '', printed)
    assert lrformer('--version') == (0, f'{__version__}\n', '')


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_a_command_fits_a_screen(lrformer, name):
    code, printed, _ = lrformer(name, '--help')
    assert code == 0 and printed.startswith(f'usage: lrformer {name}')
    assert len(printed.splitlines()) <= dict(predict=35, export=26, test=25, benchmark=25).get(name, 24), printed
    assert max(map(len, printed.splitlines())) <= 80
    assert lrformer('--help', name)[1] == printed


def test_help_of_predict_has_all_kinds_of_results(lrformer):
    words = lrformer('predict', '--help')[1].split()
    assert all(kind in words for kind in KINDS)


# A user's mistakes


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['trian', 'c.py'], "no command 'trian', did you mean train?"),
        (['xyz'], 'there are train, test, predict'),
        (['train'], 'required: CONFIG'),
        (['train', SCENES, '--work_dir', 'x'], 'no option --work_dir, did you mean --work-dir?'),
        (['train', SCENES, '--amp', 'fp16'], 'float16'),
        (['train', SCENES, '0'], "must be 1 or more, not '0'"),
        (['train', SCENES, '2', 'more'], 'more'),
        (['train', 'lrformer-n_scene-128x128'], f'did you mean {SCENES}'),
        (['train', 'nowhere/c.py'], "there is no folder 'nowhere'"),
        (['train', SCENES, '--cfg-options', 'train_cgf.max_iters=3'], "did you mean 'train_cfg'"),
        (['train', SCENES, '--cfg-options', 'a'], 'write KEY=VALUE'),
        (['train', SCENES, '--cfg-options', 'model.backbone.variannt=s'], 'variannt'),
        (['train', SCENES, '--resume', 'gone.pth'], "checkpoint 'gone.pth' does not exist"),
        (['test', SCENES, 'gone.pth'], "checkpoint 'gone.pth' does not exist"),
        (['test', SCENES], 'config without published weights'),
        (['check', 'lrformer-n_scene-128x128'], f'did you mean {SCENES}'),
        (['flops', SCENES, '--shape', '1', '2', '3'], '--shape takes one or two numbers'),
        (['flops', SCENES, '--cfg-options', 'model.backbone.type=LRformer'], 'LRformer'),
        (['config', 'c.py'], "config 'c.py' does not exist"),
        (['benchmark', 'fly-t-32x32'], 'kinds: forward, predict, train'),
        (['publish', 'gone.pth', 'out.pth'], 'gone.pth'),
        (['models', 'nothing'], 'no name has nothing in it'),
        (['predict', SCENES, '.'], 'required: --out'),
        (['predict', SCENES, 'a.png', '--out', 'o', '--cfg-options', 'crop_size=64,64'], 'without published weights'),
    ],
)
def test_a_mistake_is_told_in_a_line_and_code_2(lrformer, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.png').write_bytes(b'')
    code, printed, errors = lrformer(*words)
    assert code == 2 and errors.startswith('error: ') and message in errors, errors
    assert 'Traceback' not in errors and len(errors.splitlines()) <= 3


def test_where_it_came_from_is_shown_on_request(lrformer, monkeypatch):
    words = ['config', 'gone.py']
    assert one_line(lrformer(*words)[2], 'gone.py')
    for more in (['--traceback', *words], [*words, '--traceback']):
        monkeypatch.setenv(TRACEBACK, '')
        code, _, errors = lrformer(*more)
        assert code == 2 and errors.startswith('Traceback') and 'in load_config' in errors
    monkeypatch.setenv(TRACEBACK, '1')
    assert lrformer(*words)[2].startswith('Traceback')


def fail(error):
    def raising(*_):
        raise error

    return raising


@pytest.mark.parametrize(
    ('work', 'code', 'said'),
    [
        (fail(OSError(28, 'No space left on device', 'w/iter_1.pth')), 1, 'error: w/iter_1.pth: No space left on'),
        (fail(PermissionError(13, 'Permission denied', 'w')), 2, 'error: w: Permission denied'),
        (fail(ConnectionError('the hub cannot be reached')), 1, 'error: the hub cannot be reached'),
        (fail(KeyboardInterrupt()), 130, 'interrupted'),
        (fail(Preempted()), 75, ''),
        (fail(SystemExit('in words')), 1, 'in words'),
        # Faults of the program, and not what the package says of a user's: raised here, or come upon.
        (fail(ValueError('raised elsewhere')), 1, 'Traceback'),
        (lambda *_: np.zeros(3).reshape(2), 1, 'Traceback'),
        (lambda *_: load_config(['not', 'a', 'path']), 1, 'Traceback'),
        (fail(ZeroDivisionError()), 1, 'Traceback'),
    ],
)
def test_other_ends_have_their_code(lrformer, tmp_path, monkeypatch, work, code, said):
    monkeypatch.setattr(launch, 'train', work)
    result, _, errors = lrformer('train', write_config(tmp_path))
    assert result == code and errors.startswith(said), errors
    assert (said == 'Traceback') == ('Traceback' in errors)


# The commands


def test_a_run_from_config_to_publication(lrformer, tmp_path):
    config = write_config(tmp_path)
    assert lrformer('train', '--work-dir', tmp_path / 'w', config, 1, '--batch-per-gpu', 2)[0] == 0
    code, printed, _ = lrformer('test', config, tmp_path / 'w/iter_6.pth')
    assert code == 0 and 'mIoU: 1.0000' in printed
    assert lrformer('publish', tmp_path / 'w/iter_6.pth', tmp_path / 'toy.pth')[0] == 0


def test_the_weights_of_a_name_are_those_of_the_zoo(lrformer, tmp_path, monkeypatch):
    tested = []
    monkeypatch.setattr(zoo, 'weights_file', lambda name: f'{name}.pth')
    monkeypatch.setattr(launch, 'test', lambda cfg, checkpoint, *_: tested.append(checkpoint))
    monkeypatch.setattr('mmseg.cli.processes.start_processes', lambda words, gpus, launcher: tested.append(gpus))
    name = 'lrformer-t-160k_ade20k'
    assert lrformer('test', name)[0] == lrformer('test', name, 2)[0] == 0
    assert tested == [None, f'{name}.pth', 2, f'{name}.pth']


def test_models(lrformer):
    code, printed, _ = lrformer('models')
    names = [line.split()[0] for line in printed.splitlines()]
    assert code == 0 and all(name in names for name in zoo.models()) and SCENES in printed
    code, printed, _ = lrformer('models', 'plus', 'ade20k', '--json')
    found = json.loads(printed)
    assert len(found['models']) == 5 and all('plus' in model['name'] for model in found['models'])
    assert 'lrformer-l-plus-160k_ade20k-640x640' in found['configs'] and SCENES not in found['configs']


def test_a_printed_config_is_the_same_config(lrformer, tmp_path):
    code, printed, _ = lrformer('config', SCENES, '--cfg-options', 'train_cfg.max_iters=7')
    assert code == 0
    (tmp_path / 'mine.py').write_text(printed)
    mine = Config.fromfile(tmp_path / 'mine.py')
    expected = load_config(SCENES, {'train_cfg.max_iters': 7})
    assert expected.pop('work_dir') == f'work_dirs/{SCENES}'  # that of another
    assert mine._cfg_dict.to_dict() == expected._cfg_dict.to_dict()
    base = next(line for line in printed.splitlines() if '_base_ = ' in line).removeprefix('# ')
    (tmp_path / 'changed.py').write_text(f'{base}\ntrain_cfg = dict(max_iters=7)\n')
    assert load_config(tmp_path / 'changed.py').train_cfg == expected.train_cfg


def test_a_run_s_own_folder_stays_in_a_printed_config(lrformer, tmp_path):
    assert 'work_dir = ' in lrformer('config', write_config(tmp_path))[1]


def test_as_a_file_from_a_folder_with_modules_of_the_same_names(tmp_path):
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'argparse.py').write_text('raise AssertionError')
    program = Path(main.__code__.co_filename).with_name('__main__.py')
    done = subprocess.run([sys.executable, program, 'models'], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and SCENES in done.stdout, done.stderr


def test_nobody_reads_on(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, '-m', 'mmseg.cli', 'models'], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert b'Traceback' not in done.stderr and b'Exception' not in done.stderr, done.stderr
