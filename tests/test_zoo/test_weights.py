import io
import os
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from mmengine.config import Config

from mmseg import zoo
from mmseg.apis import init_model
from mmseg.checkpoints import load_checkpoint_file, local_file
from mmseg.engine import SegRunner
from mmseg.engine.launch import load_config
from mmseg.engine.launch import test as run_test
from mmseg.models.backbones import LRFormer
from mmseg.zoo import catalogue

from ..published import formula_weights
from ..test_engine.toy import toy_config
from .hub import hub_at

NAME, FILE = 'lrformer-t-160k_ade20k', 'lrformer-t-160k_ade20k_46.7.pth'
REPOSITORY = 'yuhuan-wu/LRFormer-Models'


def content(value=0.0):
    buffer = io.BytesIO()
    torch.save({'a': torch.full((50000,), value)}, buffer)
    return buffer.getvalue()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hub_at(monkeypatch, tmp_path / 'hub', REPOSITORY) as server:
        server.put('README.md', b'weights')
        server.put(FILE, content())
        server.put('lrformer-s-160k_ade20k_50.0.pth', content(1))
        yield server


def test_a_name_gives_config_and_weights_downloaded_once(hub, tmp_path):
    for _ in range(2):
        config, checkpoint = zoo.resolve(NAME)
        assert config.endswith('configs_local/lrformer/lrformer-t-160k_ade20k.py') and os.path.isfile(config)
        assert checkpoint.startswith(str(tmp_path / 'hub')) and Path(checkpoint).read_bytes() == content()
    assert hub.downloads(FILE) == [None]


def test_init_model_takes_a_name(hub):
    buffer = io.BytesIO()
    torch.save({'state_dict': formula_weights('lrformer-t')}, buffer)
    hub.put(FILE, buffer.getvalue())
    model = init_model(NAME, device='cpu')
    published = formula_weights('lrformer-t')['decode_head.conv_seg.weight']
    assert torch.equal(model.decode_head.conv_seg.weight, published)
    assert len(model.dataset_meta['classes']) == 150
    with pytest.raises(FileNotFoundError, match=r'mine\.pth'):
        init_model(NAME, 'mine.pth', device='cpu')  # a checkpoint of one's own goes before


def test_a_broken_connection_is_resumed(hub):
    hub.break_after = [100000]
    assert Path(zoo.weights_file(NAME)).read_bytes() == content()
    assert hub.downloads(FILE) == [None, 'bytes=100000-']


def test_offline_the_cache_is_enough_and_otherwise_the_message_says_what_to_do(hub, monkeypatch):
    zoo.weights_file(NAME)
    asked = len(hub.requests)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert Path(zoo.weights_file(NAME)).read_bytes() == content()
    with pytest.raises(ConnectionError, match=r'HF_HUB_OFFLINE is set. Download the weights .* model_release/ of'):
        zoo.weights_file('lrformer-s-160k_ade20k')
    assert len(hub.requests) == asked


def test_no_network_and_a_file_put_where_the_message_says(hub, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:1')
    with pytest.raises(ConnectionError, match=r'127.0.0.1:1.*put them into model_release/'):
        zoo.weights_file(NAME)
    (tmp_path / 'model_release').mkdir()
    (tmp_path / 'model_release' / FILE).write_bytes(content(5))
    assert Path(zoo.weights_file(NAME)).read_bytes() == content(5)


def test_a_file_that_changed_is_refused(hub, tmp_path):
    zoo.weights_file(NAME)
    hub.commit = 'f' * 40
    hub.put(FILE, content(2))
    with pytest.raises(
        ValueError, match=rf'(?s){FILE}: refused: its SHA-256 is .*If the change is meant, remove (\S+);'
    ) as error:
        zoo.weights_file(NAME)
    os.remove(str(error.value).split('is meant, remove ')[1].split(';')[0])
    assert Path(zoo.weights_file(NAME)).read_bytes() == content(2)


def test_a_cached_file_that_was_damaged_is_refused(hub):
    path = Path(zoo.weights_file(NAME))
    damaged = bytearray(content())
    damaged[5000] ^= 1
    os.chmod(path.resolve(), 0o644)
    path.resolve().write_bytes(damaged)
    with pytest.raises(ValueError, match='if the cached file was damaged, remove'):
        zoo.weights_file(NAME)


def test_an_unknown_name_is_answered_with_similar_ones(hub):
    with pytest.raises(ValueError, match='did you mean lrformer-t-160k_ade20k'):
        init_model('lrformer-t-160k_ade20', device='cpu')
    with pytest.raises(ValueError, match='did you mean .*lrformer-t-160k_ade20k'):
        zoo.resolve('LRFormer-T-160k_ADE20K')
    with pytest.raises(ValueError, match='did you mean lrformer-n_scenes-128x128'):
        load_config('lrformer-n_scenes-128')
    with pytest.raises(ValueError, match='names are .*lrformer-b-160k_ade20k, '):
        zoo.resolve('segformer')
    with pytest.raises(ValueError, match='without published weights: give a checkpoint'):
        zoo.resolve('lrformer-n_scenes-128x128')


def test_none_and_several_show_the_list_and_the_line_to_add(hub):
    with pytest.raises(ValueError, match=rf'(?s)no file .*  {FILE}.*models\.json: "files": \["THE FILE"\]'):
        zoo.weights_file('lrformer-l-160k_ade20k')
    hub.put('old/' + FILE, content(3))
    with pytest.raises(
        ValueError, match=rf'2 files .* could be {NAME}:(?s:.*)"files": \["{FILE}"\], or .*hf://{REPOSITORY}/FILE'
    ):
        zoo.weights_file(NAME)
    assert local_file(f'hf://{REPOSITORY}/old/{FILE}')  # what it says


def test_the_line_to_add_decides(hub, monkeypatch):
    hub.put('old/' + FILE, content(3))
    entry = zoo.models()[NAME]._replace(files=['old/' + FILE])
    monkeypatch.setattr('mmseg.zoo.weights.models', lambda: {NAME: entry})
    assert Path(zoo.weights_file(NAME)).read_bytes() == content(3)


def test_imagenet_weights_of_configs_come_from_there_too(hub, tmp_path):
    name = 'pretrained/LRFormer_tiny.pth'
    with pytest.raises(ValueError, match=f'no file of {REPOSITORY}'):
        LRFormer('t', init_cfg=dict(type='Pretrained', checkpoint=name)).init_weights()
    other = LRFormer('t')
    torch.save(other.state_dict(), tmp_path / 'tiny.pth')
    hub.put('imagenet/LRFormer_tiny.pth', (tmp_path / 'tiny.pth').read_bytes())
    model = LRFormer('t', init_cfg=dict(type='Pretrained', checkpoint=name))
    model.init_weights()
    assert torch.equal(model.stages[3].blocks[0].mlp.fc1.weight, other.stages[3].blocks[0].mlp.fc1.weight)
    (tmp_path / 'pretrained').mkdir()
    shutil.copy(tmp_path / 'tiny.pth', tmp_path / name)
    asked = len(hub.requests)
    model.init_weights()
    assert len(hub.requests) == asked  # the local file goes before


def test_missing_imagenet_weights_without_a_network(hub, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(FileNotFoundError, match=r"LRFormer_base.pth' does not exist here.*into pretrained/"):
        zoo.checkpoint_file('pretrained/LRFormer_base.pth')
    assert zoo.checkpoint_file('pretrained/mine.pth') == 'pretrained/mine.pth'  # no business of the zoo


def test_load_from_and_the_tools_take_a_name(hub, tmp_path):
    cfg = load_config('lrformer-t_custom-dataset')  # from any folder
    assert cfg.work_dir == 'work_dirs/lrformer-t_custom-dataset'
    assert cfg.load_from == NAME and zoo.checkpoint_file(NAME) == zoo.weights_file(NAME)
    runner = SegRunner.from_cfg(Config(toy_config(tmp_path / 'run', load_from=NAME)))
    with pytest.raises(ValueError, match=rf'{FILE} does not fit the model'):  # of a toy
        runner.load_or_resume()
    with pytest.raises(ValueError, match='no file of .* is known to be lrformer-l-160k_ade20k'):
        run_test(Config(toy_config(tmp_path / 'test')), 'lrformer-l-160k_ade20k')


def test_a_place_on_the_hub_is_a_checkpoint(hub):
    assert load_checkpoint_file(f'hf://{REPOSITORY}/{FILE}')['state_dict']['a'].shape == (50000,)
    assert load_checkpoint_file(f'hf://{REPOSITORY}@main/{FILE}')
    for source, kind, problem in (
        (f'hf://{REPOSITORY}/nothing.pth', FileNotFoundError, 'not found'),
        ('hf://nobody/nothing/x.pth', FileNotFoundError, 'not found'),
        ('hf://x.pth', ValueError, 'not of the form'),
    ):
        with pytest.raises(kind, match=problem):
            load_checkpoint_file(source)


def test_configs_and_list_are_found_from_any_folder(hub):
    assert catalogue.HOME.is_absolute() and len(zoo.models()) == 18
    for model in zoo.models().values():
        assert zoo.config_file(model.name).endswith(model.config)
