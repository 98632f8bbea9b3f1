import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg.registry import MODELS

ROOT = Path(__file__).parents[2]
PUBLISHED = [('t', 512, 16.7), ('s', 512, 40.0), ('b', 512, 74.8), ('l', 512, 121.9), ('l', 640, 181.9)]


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('get_flops', ROOT / 'tools/analysis_tools/get_flops.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(('variant', 'side', 'gmacs'), PUBLISHED)
def test_counts_are_the_published_ones(tool, variant, side, gmacs):
    cfg = Config.fromfile(ROOT / f'configs_local/lrformer/lrformer-{variant}-160k_ade20k.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
    macs = tool.count(model, (side, side))
    assert macs[''] / 1e9 == pytest.approx(gmacs, rel=0.02)
    assert macs[''] == pytest.approx(macs['backbone'] + macs['decode_head'])
    assert macs['backbone'] == pytest.approx(macs['backbone.stages'])


def test_the_command_prints_the_table(tool, monkeypatch, capsys):
    config = str(ROOT / 'configs_local/lrformer/lrformer-n_scenes-128x128.py')
    monkeypatch.setattr('sys.argv', ['get_flops.py', config, '--shape', '128', '--depth', '1'])
    tool.main()
    printed = capsys.readouterr().out
    assert 'decode_head' in printed and 'at 128x128: 0.' in printed.replace('\n', ' ')
