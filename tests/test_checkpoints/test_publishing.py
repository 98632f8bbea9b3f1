import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from safetensors import safe_open

from mmseg.apis import init_model
from mmseg.checkpoints import load_checkpoint_file
from mmseg.checkpoints.publishing import publish, without_local_paths
from mmseg.cli import main
from mmseg.engine import SegRunner

from ..test_engine.toy import toy_config

ROOT = Path(__file__).parents[2]
SUFFIXES = ('.pth', '.safetensors')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished run with averaged weights, and its runner."""
    folder = tmp_path_factory.mktemp('run')
    cfg = toy_config(folder, custom_hooks=[dict(type='EMAHook', momentum=0.5)], data_root='/data/alice')
    runner = SegRunner.from_cfg(Config(cfg))
    runner.train()
    return folder, runner


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_only_weights_and_facts_are_left(run, tmp_path, suffix):
    folder, runner = run
    path = publish(folder / 'iter_6.pth', tmp_path / f'toy{suffix}')
    assert path.name == f'toy-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}{suffix}'
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    published = load_checkpoint_file(path)
    assert set(published) == {'state_dict', 'meta'}
    meta = published['meta']
    assert meta['dataset_meta'] == dict(classes=['a', 'b'], palette=[[0, 0, 0], [255, 255, 255]])
    assert meta['metric'] == dict(mIoU=1.0, most=1.0, least=1.0) and meta['iter'] == 6
    assert "type='ToyModel'" in meta['cfg'] and "data_root = '<local path>'" in meta['cfg']
    for private in (str(folder), 'alice', 'momentum_buffer', 'exp_avg', runner.experiment_name):
        assert private.encode() not in path.read_bytes()


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_averaged_weights_are_published_unless_told_otherwise(run, tmp_path, suffix):
    folder, runner = run
    hook = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    averaged, last = hook.ema_model.module.state_dict(), runner.model.state_dict()
    assert not same(averaged, last)
    files = {w: publish(folder / 'iter_6.pth', tmp_path / f'toy{suffix}', weights=w) for w in ('ema', 'last')}
    assert same(load_checkpoint_file(files['ema'])['state_dict'], averaged)
    assert same(load_checkpoint_file(files['last'])['state_dict'], last)
    assert load_checkpoint_file(files['last'])['meta']['weights'] == 'last'


def test_weights_that_were_left_out_cannot_be_published_again(run, tmp_path):
    averaged = publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth')
    with pytest.raises(ValueError, match='published with the averaged weights only'):
        publish(publish(averaged, tmp_path / 'again.pth'), tmp_path / 'last.pth', weights='last')
    last = publish(run[0] / 'iter_6.pth', tmp_path / 'last.pth', weights='last')
    assert same(load_checkpoint_file(publish(last, tmp_path / 'b.pth'))['state_dict'], run[1].model.state_dict())
    with pytest.raises(ValueError, match="weights='best' is neither"):
        publish(last, tmp_path / 'c.pth', weights='best')


def test_the_same_input_gives_the_same_name_and_a_published_file_can_be_input(run, tmp_path):
    first = publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth')
    assert publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth') == first
    other = publish(first, tmp_path / 'toy.safetensors')
    again = publish(other, tmp_path / 'toy.pth')
    assert same(load_checkpoint_file(first)['state_dict'], load_checkpoint_file(again)['state_dict'])
    assert load_checkpoint_file(first)['meta']['dataset_meta'] == load_checkpoint_file(again)['meta']['dataset_meta']


def test_other_programs_can_read_it(run, tmp_path):
    path = publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth')
    assert torch.load(path, weights_only=True)['meta']['dataset_meta']['classes'] == ['a', 'b']
    with safe_open(publish(path, tmp_path / 'toy.safetensors'), framework='pt') as file:
        assert file.metadata()['format'] == 'pt'
        assert json.loads(file.metadata()['meta'])['dataset_meta']['classes'] == ['a', 'b']


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_the_api_takes_classes_and_palette_from_it(tmp_path, suffix):
    config = ROOT / 'configs_local/lrformer/lrformer-n_scenes-128x128.py'
    model = init_model(config, device='cpu')
    meta = dict(dataset_meta=dict(classes=tuple('abcdefgh'), palette=[[i, i, i] for i in range(8)]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'c.pth')
    published = publish(tmp_path / 'c.pth', tmp_path / f'p{suffix}')
    again = init_model(config, published, device='cpu')
    assert again.dataset_meta['classes'] == list('abcdefgh') and again.dataset_meta['palette'][7] == [7, 7, 7]
    assert same(again.state_dict(), model.state_dict())


def test_a_palette_that_is_missing_or_an_array(tmp_path):
    for stated, colours in (
        (dict(classes=('a', 'b')), None),
        (dict(classes=('a', 'b'), palette=np.array([[1, 2, 3], [4, 5, 6]])), [[1, 2, 3], [4, 5, 6]]),
        (dict(palette=[[1, 2, 3]]), [[1, 2, 3]]),
    ):
        torch.save(dict(state_dict={'a': torch.zeros(1)}, meta=dict(dataset_meta=stated)), tmp_path / 'c.pth')
        meta = load_checkpoint_file(publish(tmp_path / 'c.pth', tmp_path / 'p.pth'))['meta']['dataset_meta']
        assert meta.get('classes') == (['a', 'b'] if 'classes' in stated else None)
        assert meta['palette'] == colours if colours else len(meta['palette']) == 2


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ("work_dir = '/data/alice/run'\na = 1", 'a = 1'),
        ("data_root = '/data/alice/my data'", "data_root = '<local path>'"),
        (r"root = 'C:\\Users\\alice'", "root = '<local path>'"),
        (r"root = '\\\\server\\alice'", "root = '<local path>'"),
        ("root = '~/data'", "root = '<local path>'"),
        ("root = 'file:///data/alice'", "root = '<local path>'"),
        ('note = "as in /data/alice/it\'s, sorry"', 'note = "as in <local path>\'s, sorry"'),
        ("note = 'PYTHONPATH=/data/alice:/opt/alice x'", "note = 'PYTHONPATH=<local path>:<local path> x'"),
        ("data_root = 'data/ade'", "data_root = 'data/ade'"),
        ("url = 'https://example.org/a/b.pth'", "url = 'https://example.org/a/b.pth'"),
        (r"keys = dict({'\\.norm/x': 1, 'a/b': '../c', '/': 2})",) * 2,
    ],
)
def test_local_paths_are_taken_out_of_the_config(line, expected):
    assert without_local_paths(line) == expected


def test_a_wrong_suffix_is_named(run, tmp_path):
    with pytest.raises(ValueError, match=r'toy\.onnx: the file to write must end in \.pth or \.safetensors'):
        publish(run[0] / 'iter_6.pth', tmp_path / 'toy.onnx')


def test_the_command(run, tmp_path, capsys):
    assert main(['publish', run[0] / 'iter_6.pth', tmp_path / 'toy.safetensors', '--metric', 'mIoU=52.6']) == 0
    (path,) = tmp_path.iterdir()
    printed = capsys.readouterr().out
    assert str(path) in printed and 'classes: 2' in printed
    assert load_checkpoint_file(path)['meta']['metric'] == dict(mIoU=52.6)
    assert main(['publish', run[0] / 'iter_6.pth', tmp_path / 'toy.onnx']) == 2
    assert main(['publish', run[0] / 'iter_6.pth', tmp_path / 'toy.pth', '--metric', '52.6']) == 2
