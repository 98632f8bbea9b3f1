import json

import pytest
import torch

pytest.importorskip('onnx', reason='the extra "export" is not installed')

from mmseg.cli import main
from mmseg.export import parity

from ..test_runtimes import tiny


@pytest.fixture
def words(tmp_path):
    tiny.config().dump(tmp_path / 'tiny.py')
    torch.save(dict(state_dict=tiny.model().state_dict()), tmp_path / 'tiny.pth')
    words = ['export', tmp_path / 'tiny.py', '--checkpoint', tmp_path / 'tiny.pth', '--to', 'torch']
    return [*map(str, words), '--out', str(tmp_path / 'tiny.pt2'), '--compare', '64', '96']


def test_a_file_and_its_proof(words, tmp_path, capsys):
    assert main(words) == 0
    report = json.loads((tmp_path / 'tiny.pt2.parity.json').read_text())
    assert report['passed'] and {(c['batch'], c['height'], c['width']) for c in report['comparisons']} == {
        (1, 64, 96),
        (3, 64, 96),
    }
    assert 'PyTorch and torch.export on the same images' in capsys.readouterr().out
    assert torch.export.load(tmp_path / 'tiny.pt2').module()(torch.zeros(2, 3, 40, 48)).shape == (2, 3, 5, 6)


def test_a_file_that_computes_something_else_is_code_1(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(parity.Comparison, 'passed', property(lambda comparison: comparison.batch == 1))
    assert main(words) == 1
    assert 'tiny.pt2 does not compute what the model does' in capsys.readouterr().err
    assert not json.loads((tmp_path / 'tiny.pt2.parity.json').read_text())['passed']
