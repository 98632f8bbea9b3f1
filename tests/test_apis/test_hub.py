"""Segmentors in folders and on the hub."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg.apis import from_pretrained, inference_model, init_model, push_to_hub, save_pretrained
from mmseg.apis.hub import CARD, CONFIG, WEIGHTS

from ..test_zoo.hub import hub_at

CONFIGS = Path(__file__).parents[2] / 'configs_local'
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(CONFIGS / 'lrformer/lrformer-n_scenes-128x128.py', device='cpu')


def labels(model) -> torch.Tensor:
    return inference_model(model, IMAGE).pred_sem_seg.data


def test_a_folder_holds_the_model(model, tmp_path):
    folder = save_pretrained(model, tmp_path / 'mine', 'Trained on drawn scenes.')
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, CONFIG, WEIGHTS])
    again = from_pretrained(folder, device='cpu')
    assert torch.equal(labels(again), labels(model))
    assert again.dataset_meta['classes'] == list(model.dataset_meta['classes'])
    assert again.dataset_meta['palette'] == model.dataset_meta['palette']
    # It is an ordinary config and checkpoint, too.
    assert torch.equal(labels(init_model(folder / CONFIG, folder / WEIGHTS, device='cpu')), labels(model))
    card = (folder / CARD).read_text()
    assert 'sky, ground' in card and 'Trained on drawn scenes.' in card
    (folder / CARD).write_text('of my own')
    save_pretrained(again, folder)
    assert (folder / CARD).read_text() == 'of my own'


@pytest.mark.parametrize(
    'name',
    ['lrformer/lrformer-t-plus-160k_ade20k-512x512', 'baselines/upernet-swin-t-160k_ade20k-512x512',
     'baselines/ocrnet-hr18-80k_ade20k-512x512', 'baselines/deeplabv3plus-mobilenet_scenes-128x128',
     'lrformer/lrformer-t-160k_cityscapes-1024x1024'],
)  # fmt: skip
def test_configs_of_all_kinds_are_read_as_they_were(name, tmp_path):
    from mmseg.apis.hub import _config_text, _read_config

    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    (tmp_path / CONFIG).write_text(_config_text(None, cfg))
    again = _read_config(tmp_path / CONFIG)
    assert again.test_dataloader.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    assert again.model.decode_head == cfg.model.decode_head
    assert again.model.data_preprocessor == cfg.model.data_preprocessor
    assert 'init_cfg' not in again.model.backbone and again.model.backbone.type == cfg.model.backbone.type
    assert 'data/' not in (tmp_path / CONFIG).read_text()


def test_the_hub(model, tmp_path, monkeypatch):
    """push_to_hub uploads what from_pretrained takes; a server of ours stands in for the hub."""
    calls, uploaded = [], {}

    class Api:
        def __init__(self, token=None):
            calls.append(('token', token))

        def create_repo(self, repository, private=None, exist_ok=False):
            calls.append(('create', repository, private, exist_ok))

        def file_exists(self, repository, name):
            return False

        def upload_folder(self, repo_id, folder_path, commit_message, ignore_patterns):
            uploaded.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
            return SimpleNamespace(commit_url=f'https://hub/{repo_id}/commit/1')

    monkeypatch.setattr('huggingface_hub.HfApi', Api)
    assert push_to_hub(model, 'me/scenes', private=True, token='t') == 'https://hub/me/scenes/commit/1'
    assert calls == [('token', 't'), ('create', 'me/scenes', True, True)]
    assert "from_pretrained('OWNER/scenes')" in uploaded[CARD].decode()
    monkeypatch.undo()

    with hub_at(monkeypatch, tmp_path / 'cache', 'me/scenes') as hub:
        for name, content in uploaded.items():
            hub.put(name, content)
        again = from_pretrained('me/scenes', device='cpu')
        assert torch.equal(labels(again), labels(model))
        with pytest.raises(FileNotFoundError, match='hf://me/other/config.py: not found'):
            from_pretrained('me/other', device='cpu')
    assert torch.equal(labels(from_pretrained('me/scenes', device='cpu')), labels(model))  # from the cache


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('import os', 'line 1 is no plain NAME = VALUE'),
        ('model = dict(type=print)', 'line 1 is no plain NAME = VALUE'),
        ("model = {'type': 'os.system', 'command': 'true'}", "its type 'os.system' is a path into a module"),
        ("model = {'type': 'mmseg.models.backbones.LRFormer'}", 'is a path into a module'),
    ],
)
def test_a_config_runs_nothing(tmp_path, line, message):
    (tmp_path / CONFIG).write_text(line)
    with pytest.raises(ValueError, match=message):
        from_pretrained(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='is no folder, no OWNER/NAME of the hub and none of lrformer-t'):
        from_pretrained(tmp_path / 'nothing')
    with pytest.raises(ValueError, match='Linear has no config to save'):
        save_pretrained(torch.nn.Linear(1, 1), tmp_path)


def test_a_network_of_transformers_needs_no_hub_once_it_is_saved(tmp_path):
    pytest.importorskip('transformers', reason='needs the extra hf')
    from ..test_models.test_library_segmentors import SEGFORMER

    cfg = Config.fromfile(CONFIGS / 'lrformer/lrformer-n_scenes-128x128.py')
    network = dict(type='HFSegmentor', config=SEGFORMER, decode_head=dict(num_classes=8))
    init_model({**cfg, 'model': network}, device='cpu').network.save_pretrained(tmp_path / 'theirs')
    network = dict(type='HFSegmentor', name=str(tmp_path / 'theirs'), decode_head=dict(num_classes=8))
    model = init_model({**cfg, 'model': network}, device='cpu')
    save_pretrained(model, tmp_path / 'ours')
    assert str(tmp_path) not in (tmp_path / 'ours' / CONFIG).read_text()
    assert torch.equal(labels(from_pretrained(tmp_path / 'ours', device='cpu')), labels(model))
