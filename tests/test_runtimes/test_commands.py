import pytest

pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('onnxruntime', reason='the extra "export" is not installed')

from mmseg.cli import main

from . import tiny

SCENES = 'lrformer-n_scenes-128x128'


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp('exported') / 'model.onnx', tiny.model())


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['test', 'FILE'], '--config says what to test it on: lrformer test model.onnx --config CONFIG'),
        (['test', 'FILE', 'more.pth', '--config', SCENES], 'holds its weights'),
        (['test', SCENES, '--config', SCENES], '--config says what to test an exported file on'),
        (['test', SCENES, 'FILE', '--amp'], '--amp is for networks that run in PyTorch'),
        (['test', 'gone.onnx', '--config', SCENES], "checkpoint 'gone.onnx' does not exist"),
        (['test', 'FILE', '--config', SCENES], 'was exported with 3, test_dataloader.dataset (SceneDataset) has 8'),
        (['predict', 'gone.onnx', 'a.png', '--out', 'o'], 'gone.onnx does not exist'),
        (['predict', 'FILE', 'a.png', '--out', 'o', '--half'], 'half: for networks that run in PyTorch'),
        (['predict', SCENES, 'a.png', '--out', 'o', '--checkpoint', 'FILE', '--weights', 'last'], 'holds its weights'),
        (
            ['export', SCENES, '--checkpoint', 'w.pth', '--to', 'torch', '--out', 'f.pt2', '--int8'],
            '--int8 is for --to onnx',
        ),
    ],
)
def test_a_mistake_is_told_in_a_line_and_code_2(capsys, file, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.png').write_bytes(b'')
    assert main([file if word == 'FILE' else word for word in words]) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.startswith('error: '), errors
