"""``lrformer new`` as a user runs it."""

import json
import os

import pytest

from mmseg.cli import main
from mmseg.engine.launch import load_config
from tests.camvid import CAMVID_ROOT, needs_camvid
from tests.test_datasets.test_formats.drawn import CLASSES, coco, index_masks, scenes


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """Run the command in a folder of its own; gives its exit code and what it printed on stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: (main(['new', *arguments, '--nproc', '1']), *capfd.readouterr())


def test_it_says_what_it_found_and_wrote(tmp_path, run):
    (tmp_path / 'my pets').mkdir()
    coco(tmp_path / 'my pets', scenes())
    code, printed, _ = run('my pets')
    assert code == 0
    assert 'my pets: COCO instances' in printed
    assert '6 pairs: 5 train, 1 val (20% of the training images drawn for validation)' in printed
    assert '3 classes, from the COCO instances file: background, cat, dog' in printed
    assert 'note: 88 category ids that are not used' in printed
    assert printed.endswith(f'lrformer train {tmp_path / "my_pets.py"}\n')
    files = {path.name for path in (tmp_path / 'my_pets_files').iterdir()}
    assert files == {'labels', 'preview.jpg', 'report.json', 'train.csv', 'val.csv'}
    report = json.loads((tmp_path / 'my_pets_files' / 'report.json').read_text())
    assert sum(entry['pixels'] for entry in report['classes']) == 6 * 48 * 64
    assert [entry['name'] for entry in report['classes']] == list(CLASSES)
    assert main(['check', 'my_pets.py', '--nproc', '1']) == 0


def test_options_reach_the_config(tmp_path, run):
    index_masks(tmp_path / 'data', scenes())
    options = ['--variant', 's', '--start', 'lrformer-s-160k_ade20k', '--iters', '1234', '--size', '96']
    code, _, errors = run('data', '--out', 'deep.py', '--classes', 'a,b,c', *options)
    assert code == 0, errors
    cfg = load_config(tmp_path / 'deep.py')
    assert cfg.model.backbone.variant == 's' and cfg.load_from == 'lrformer-s-160k_ade20k'
    assert cfg.ignore_mismatched_sizes and cfg.train_cfg.max_iters == 1234 and cfg.image_scale == (128, 96)
    assert cfg.metainfo.classes == ('a', 'b', 'c')
    assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53], 'what the weights were trained with'
    # A variable at the top is one place for all that follows from it.
    changed = load_config(tmp_path / 'deep.py', ['crop_size=64,64'])
    assert changed.model.data_preprocessor['size'] == changed.train_pipeline[3].crop_size == (64, 64)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'does not exist'),
        (['data', '--out', 'mine.yaml'], 'its name ends in .py'),
        (['data', '--format', 'coc'], 'none of coco, labelme'),
        (['data', '--iters', '0'], 'must be 1 or more'),
        (['data', '--classes', 'one'], 'two or more different names'),
    ],
)
def test_mistakes(tmp_path, run, arguments, message):
    index_masks(tmp_path / 'data', scenes(2))
    code, _, errors = run(*arguments)
    assert code == 2 and errors.startswith('error: ') and message in errors
    assert os.listdir(tmp_path) == ['data']


@needs_camvid
def test_camvid_by_its_folder_alone(tmp_path, run):
    """A part of it: names and the ignored label come from the type that the folder is called after."""
    root = tmp_path / 'camvid'
    for split in ('train', 'val'):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
            for path in sorted((CAMVID_ROOT / kind / split).iterdir())[:4]:
                (root / kind / split / path.name).symlink_to(path)
    code, printed, errors = run('camvid')
    assert code == 0, errors
    assert '8 pairs: 4 train, 4 val (as folders say)' in printed
    assert '11 classes, from CamVidDataset: sky, building, pole' in printed
    cfg = load_config(tmp_path / 'camvid.py')
    assert cfg.metainfo.label_map == {11: -1}
    assert cfg.image_scale == (256, 192)
