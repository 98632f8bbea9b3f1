import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from safetensors import safe_open

from mmseg.apis import init_model
from mmseg.checkpoints import load_checkpoint_file
from mmseg.engine import SegRunner

from ..test_engine.toy import toy_config

ROOT = Path(__file__).parents[2]
SUFFIXES = ('.pth', '.safetensors')


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('publish_model', ROOT / 'tools/misc/publish_model.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def test_only_weights_and_facts_are_left(tool, run, tmp_path, suffix):
    folder, runner = run
    path = tool.publish(folder / 'iter_6.pth', tmp_path / f'toy{suffix}')
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
def test_averaged_weights_are_published_unless_told_otherwise(tool, run, tmp_path, suffix):
    folder, runner = run
    hook = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    averaged, last = hook.ema_model.module.state_dict(), runner.model.state_dict()
    assert not same(averaged, last)
    files = {w: tool.publish(folder / 'iter_6.pth', tmp_path / f'toy{suffix}', weights=w) for w in ('ema', 'last')}
    assert same(load_checkpoint_file(files['ema'])['state_dict'], averaged)
    assert same(load_checkpoint_file(files['last'])['state_dict'], last)
    assert load_checkpoint_file(files['last'])['meta']['weights'] == 'last'


def test_the_same_input_gives_the_same_name_and_a_published_file_can_be_input(tool, run, tmp_path):
    first = tool.publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth')
    assert tool.publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth') == first
    other = tool.publish(first, tmp_path / 'toy.safetensors')
    again = tool.publish(other, tmp_path / 'toy.pth')
    assert same(load_checkpoint_file(first)['state_dict'], load_checkpoint_file(again)['state_dict'])
    assert load_checkpoint_file(first)['meta']['dataset_meta'] == load_checkpoint_file(again)['meta']['dataset_meta']


def test_other_programs_can_read_it(tool, run, tmp_path):
    path = tool.publish(run[0] / 'iter_6.pth', tmp_path / 'toy.pth')
    assert torch.load(path, weights_only=True)['meta']['dataset_meta']['classes'] == ['a', 'b']
    with safe_open(tool.publish(path, tmp_path / 'toy.safetensors'), framework='pt') as file:
        assert file.metadata()['format'] == 'pt'
        assert json.loads(file.metadata()['meta'])['dataset_meta']['classes'] == ['a', 'b']


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_the_api_takes_classes_and_palette_from_it(tool, tmp_path, suffix):
    config = ROOT / 'configs_local/lrformer/lrformer-n_scenes-128x128.py'
    model = init_model(config, device='cpu')
    meta = dict(dataset_meta=dict(classes=tuple('abcdefgh'), palette=[[i, i, i] for i in range(8)]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'c.pth')
    published = tool.publish(tmp_path / 'c.pth', tmp_path / f'p{suffix}')
    again = init_model(config, published, device='cpu')
    assert again.dataset_meta['classes'] == list('abcdefgh') and again.dataset_meta['palette'][7] == [7, 7, 7]
    assert same(again.state_dict(), model.state_dict())


def test_a_palette_that_is_missing_or_an_array(tool, tmp_path):
    for stated, colours in (
        (dict(classes=('a', 'b')), None),
        (dict(classes=('a', 'b'), palette=np.array([[1, 2, 3], [4, 5, 6]])), [[1, 2, 3], [4, 5, 6]]),
        (dict(palette=[[1, 2, 3]]), [[1, 2, 3]]),
    ):
        torch.save(dict(state_dict={'a': torch.zeros(1)}, meta=dict(dataset_meta=stated)), tmp_path / 'c.pth')
        meta = load_checkpoint_file(tool.publish(tmp_path / 'c.pth', tmp_path / 'p.pth'))['meta']['dataset_meta']
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
def test_local_paths_are_taken_out_of_the_config(tool, line, expected):
    assert tool.without_local_paths(line) == expected


def test_a_wrong_suffix_is_named(tool, run, tmp_path):
    with pytest.raises(ValueError, match=r'toy\.onnx: the file to write must end in \.pth or \.safetensors'):
        tool.publish(run[0] / 'iter_6.pth', tmp_path / 'toy.onnx')


def test_the_command(run, tmp_path):
    command = [
        sys.executable,
        ROOT / 'tools/misc/publish_model.py',
        run[0] / 'iter_6.pth',
        tmp_path / 'toy.safetensors',
    ]
    result = subprocess.run(
        [*map(str, command), '--metric', 'mIoU=52.6'], capture_output=True, text=True, cwd=ROOT, check=True
    )
    (path,) = tmp_path.iterdir()
    assert str(path) in result.stdout and 'classes: 2' in result.stdout
    assert load_checkpoint_file(path)['meta']['metric'] == dict(mIoU=52.6)
