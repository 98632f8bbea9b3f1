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


def write_image(path, array, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)


def test_voc_aug(tmp_path, run):
    savemat = pytest.importorskip('scipy.io').savemat
    lists = tmp_path / 'VOC2012' / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'val.txt').write_text('c\n')
    for name, value in (('b', 5), ('c', 9)):
        write_image(tmp_path / 'VOC2012' / 'SegmentationClass' / f'{name}.png', np.full((3, 4), value, dtype=np.uint8))
    cls = tmp_path / 'benchmark_RELEASE' / 'dataset' / 'cls'
    cls.mkdir(parents=True)
    for name in 'ab':
        savemat(cls / f'{name}.mat', {'GTcls': {'Segmentation': np.full((3, 4), 7, dtype=np.uint8)}})
    code, printed = run('voc_aug', tmp_path, '--nproc', 1)
    assert code == 0 and '3 files converted, 0 failed' in printed
    target = tmp_path / 'VOC2012' / 'SegmentationClassAug'
    found = {path.stem: np.unique(np.asarray(Image.open(path))).tolist() for path in target.iterdir()}
    assert found == {'a': [7], 'b': [5], 'c': [9]}
    assert (lists / 'trainaug.txt').read_text() == 'a\nb\n'


def test_potsdam_tiles(tmp_path, run):
    colours = np.array(
        [[0, 0, 0], [255, 255, 255], [0, 0, 255], [0, 255, 255], [0, 255, 0], [255, 255, 0], [255, 0, 0]]
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, (600, 900))
    image = rng.integers(0, 256, (600, 900, 3), dtype=np.uint8)
    download = tmp_path / 'download'
    for number in ('2_10', '7_13'):
        write_image(download / '2_Ortho_RGB' / f'top_potsdam_{number}_RGB.tif', image)
        write_image(download / '5_Labels_all' / f'top_potsdam_{number}_label.tif', colours[labels].astype(np.uint8))
    write_image(download / '5_Labels_all' / 'top_potsdam_3_10_label.tif', np.full((9, 9, 3), 7, dtype=np.uint8))
    write_image(download / '2_Ortho_RGB' / 'top_potsdam_3_10_RGB.tif', np.zeros((9, 9, 3), dtype=np.uint8))
    out = tmp_path / 'out'
    code, printed = run('isprs', 'potsdam', download, out, '--nproc', 1)
    assert code == 1 and '2 images converted, 24 files written, 1 failed' in printed
    assert '[7, 7, 7]' in printed  # a colour of no class
    starts = [(top, left) for top in (0, 88) for left in (0, 256, 388)]
    for split, number in (('train', '2_10'), ('val', '7_13')):
        names = {path.name for path in (out / 'ann_dir' / split).iterdir()}
        assert names == {f'top_potsdam_{number}_{top}_{left}.png' for top, left in starts}
    tile = 'train/top_potsdam_2_10_88_256.png'
    assert np.array_equal(np.asarray(Image.open(out / 'ann_dir' / tile)), labels[88:600, 256:768])
    assert np.array_equal(np.asarray(Image.open(out / 'img_dir' / tile)), image[88:600, 256:768])
    (out / 'ann_dir' / tile).unlink()
    assert ', 1 files written, ' in run('isprs', 'potsdam', download, out, '--nproc', 1)[1]  # goes on after a stop


def test_vaihingen_needs_its_labels(tmp_path, run):
    white = np.full((20, 30, 3), 255, dtype=np.uint8)
    write_image(tmp_path / 'top' / 'top_mosaic_09cm_area1.tif', white)
    code, printed = run('isprs', 'vaihingen', tmp_path, tmp_path / 'out', '--nproc', 1)
    assert code == 1 and 'none of the files' in printed
    write_image(tmp_path / 'gts_for_participants' / 'top_mosaic_09cm_area1.tif', white)
    assert run('isprs', 'vaihingen', tmp_path, tmp_path / 'out', '--nproc', 1)[0] == 0
    assert np.unique(np.asarray(Image.open(tmp_path / 'out/ann_dir/train/top_mosaic_09cm_area1_0_0.png'))) == [1]


@pytest.mark.parametrize(
    ('kind', 'image', 'label', 'names'),
    [
        ('drive', 'training/images/21_training.tif', 'training/1st_manual/21_manual1.gif', ('21', '21_manual1')),
        ('chase_db1', 'Image_03L.jpg', 'Image_03L_1stHO.png', ('Image_03L', 'Image_03L_1stHO')),
        ('hrf', 'images/02_dr.JPG', 'manual1/02_dr.tif', ('02_dr', '02_dr')),
        ('stare', 'im0001.ppm', 'im0001.ah.ppm', ('im0001', 'im0001.ah')),
    ],
)
def test_retina(kind, image, label, names, tmp_path, run):
    vessels = np.zeros((8, 9), dtype=np.uint8)
    vessels[3] = 255
    write_image(tmp_path / image, np.full((8, 9, 3), 99, dtype=np.uint8))
    write_image(tmp_path / label, vessels)
    code, printed = run('retina', kind, tmp_path, tmp_path / 'out', '--nproc', 1)
    assert code == 0, printed
    assert (tmp_path / 'out' / 'images' / 'training' / f'{names[0]}.png').exists()
    found = np.asarray(Image.open(tmp_path / 'out' / 'annotations' / 'training' / f'{names[1]}.png'))
    assert np.array_equal(found, vessels // 255)
