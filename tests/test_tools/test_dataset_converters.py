"""The converters as a user runs them, on small synthetic trees."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


@pytest.fixture
def load(monkeypatch):
    """Import a converter as the module that Python would make of it."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # worker processes look functions up here
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run(load, monkeypatch, capfd):
    """Run a converter in this process; gives the exit code and everything it printed."""

    def run(name, *args):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        code = load(name).main()
        return code, ''.join(capfd.readouterr())

    return run


def write_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def read_png(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def coco_tree(tmp_path):
    raw = np.array([[0, 10, 12], [89, 91, 181], [255, 27, 11]])
    for split, count in (('train2017', 3), ('val2017', 1)):
        for i in range(count):
            write_png(tmp_path / f'annotations/{split}/{i:012d}.png', raw)
    return tmp_path


def test_coco_table_has_171_classes_in_order(load):
    coco = load('coco_stuff164k')
    used = coco.TABLE[coco.TABLE != 255]
    assert used.tolist() == list(range(171))
    # Person; stop sign (category 13, the first after a gap); toothbrush; the first and the last stuff class.
    assert [coco.TABLE[raw] for raw in (0, 12, 89, 91, 181)] == [0, 11, 79, 80, 170]
    assert all(coco.TABLE[category - 1] == 255 for category in coco.UNUSED_CATEGORIES)
    assert (coco.TABLE[182:] == 255).all()


def test_coco_converts_then_skips_then_overwrites(coco_tree, run):
    code, text = run('coco_stuff164k', coco_tree, '--nproc', 2)
    assert code == 0, text
    assert '4 files converted, 0 failed' in text
    target = coco_tree / 'annotations/train2017/000000000001_labelTrainIds.png'
    expected = [[0, 10, 11], [79, 80, 170], [255, 25, 255]]
    assert read_png(target).tolist() == expected
    assert len(list(coco_tree.rglob('*_labelTrainIds.png'))) == 4
    assert not list(coco_tree.rglob('*.tmp'))

    write_png(target, [[7]])
    code, text = run('coco_stuff164k', coco_tree, '--nproc', 1)
    assert code == 0 and '4 of 4 files are converted already' in text
    assert read_png(target).tolist() == [[7]]

    code, text = run('coco_stuff164k', coco_tree, '--nproc', 1, '--overwrite')
    assert code == 0 and '4 files converted' in text
    assert read_png(target).tolist() == expected


def test_coco_bad_files_are_named_and_the_others_converted(coco_tree, run):
    folder = coco_tree / 'annotations/train2017'
    (folder / '000000000000.png').write_bytes((folder / '000000000000.png').read_bytes()[:-30])
    write_png(folder / '000000000001.png', [[0, 200]])
    write_png(folder / '000000000009.png', np.zeros((2, 2, 3)))
    code, text = run('coco_stuff164k', coco_tree, '--nproc', 2)
    assert code == 1
    assert '2 files converted, 3 failed' in text
    for name in ('000000000000.png', '000000000001.png', '000000000009.png'):
        assert f'failed: {folder / name}' in text
    assert 'values [200] are no raw COCO-Stuff ids' in text
    assert 'mode RGB' in text
    assert not (folder / '000000000001_labelTrainIds.png').exists()
    assert (folder / '000000000002_labelTrainIds.png').exists()
    assert not list(coco_tree.rglob('*.tmp'))


def test_missing_and_empty_folders_are_named(tmp_path, run):
    code, text = run('coco_stuff164k', tmp_path)
    assert code == 1 and f'Folder not found: {tmp_path}/annotations/train2017' in text
    (tmp_path / 'annotations/train2017').mkdir(parents=True)
    code, text = run('coco_stuff164k', tmp_path)
    assert code == 1 and f'No file *.png in {tmp_path}/annotations/train2017' in text


def write_polygons(root, split, objects):
    path = root / f'gtFine/{split}/aachen/aachen_000000_000019_gtFine_polygons.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({'imgHeight': 4, 'imgWidth': 6, 'objects': objects}))
    return path.with_name('aachen_000000_000019_gtFine_labelTrainIds.png')


def rectangle(label, x1, y1, x2, y2):
    return {'label': label, 'polygon': [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]}


def test_cityscapes_draws_train_ids(tmp_path, run):
    pytest.importorskip('cityscapesscripts', reason='cityscapesscripts not installed')
    objects = [
        rectangle('road', 0, 0, 5, 1),
        rectangle('cargroup', 2, 0, 3, 1),
        rectangle('dynamic', 5, 0, 5, 0),
    ]
    target = write_polygons(tmp_path, 'train', objects)
    broken = write_polygons(tmp_path, 'val', [rectangle('spaceship', 0, 0, 1, 1)])
    code, text = run('cityscapes', tmp_path, '--nproc', 2)
    # Road 0, car 13; 'dynamic' and what nothing covers have no train id.
    assert read_png(target).tolist() == [[0, 0, 13, 13, 0, 255], [0, 0, 13, 13, 0, 0], [255] * 6, [255] * 6]
    assert code == 1 and '1 files converted, 1 failed' in text
    assert 'aachen_000000_000019_gtFine_polygons.json' in text and not broken.exists()

    code, text = run('cityscapes', tmp_path / 'nowhere')
    assert code == 1 and f'Folder not found: {tmp_path}/nowhere/gtFine/train' in text


@pytest.mark.skipif(importlib.util.find_spec('cityscapesscripts') is not None, reason='cityscapesscripts installed')
def test_cityscapes_says_what_to_install(tmp_path, run):
    code, text = run('cityscapes', tmp_path)
    assert code == 1 and 'pip install cityscapesscripts' in text


def test_a_script_run_from_a_shell_ends_with_its_exit_code(coco_tree):
    write_png(coco_tree / 'annotations/val2017/000000000000.png', [[200]])
    script = FOLDER / 'coco_stuff164k.py'
    done = subprocess.run(
        [sys.executable, script, coco_tree, '--nproc', '2'], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and '3 files converted, 1 failed' in done.stdout, done.stdout + done.stderr


def test_a_process_count_of_zero_is_refused(coco_tree, run):
    with pytest.raises(SystemExit):
        run('coco_stuff164k', coco_tree, '--nproc', 0)
