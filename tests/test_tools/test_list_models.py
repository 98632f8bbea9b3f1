import importlib.util
import re
import sys
from pathlib import Path

import torch

from mmseg import zoo
from mmseg.engine.launch import load_config
from mmseg.registry import MODELS

ROOT = Path(__file__).parents[2]


def load_tool(monkeypatch):
    monkeypatch.setattr('sys.path', list(sys.path))
    monkeypatch.delitem(sys.modules, 'command_line', raising=False)
    spec = importlib.util.spec_from_file_location('list_models', ROOT / 'tools/misc/list_models.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_that_of_the_list(monkeypatch):
    assert (ROOT / 'model_release/README.md').read_text() == load_tool(monkeypatch).readme(), (
        'run: python tools/misc/list_models.py --readme'
    )


def test_the_list_has_the_figures_of_the_configs():
    published = {}
    for path in (ROOT / 'configs_local/lrformer').glob('*.py'):
        if found := re.search(r'^Published: ([\d.]+) mIoU', path.read_text(), re.MULTILINE):
            published[path.stem] = float(found[1])
    assert {model.name: model.mIoU for model in zoo.models().values()} == published


def test_the_list_has_the_imagenet_weights_of_the_configs():
    stated = set()
    for path in (ROOT / 'configs_local').rglob('*.py'):
        stated |= set(re.findall(r"checkpoint='(pretrained/[^']+)'", path.read_text()))
    assert set(zoo.backbones()) == stated


def test_the_list_has_the_size_of_the_models():
    for name in ('lrformer-t-160k_cityscapes-1024x1024', 'lrformer-xl-plus-in22k-160k_ade20k-640x640'):
        with torch.device('meta'):
            model = MODELS.build(load_config(name).model)
        assert zoo.models()[name].parameters == round(sum(p.numel() for p in model.parameters()) / 1e6, 1)
