"""Each fault that is planted into a clean dataset is found, under its name, at its file, and nothing else is."""

import json
import os
import shutil
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mmseg.datasets.checks import check_datasets
from mmseg.datasets.scenes import CLASSES

from .scene_files import SIZE, config, image, label, relabel, relabel_all, write_scenes


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp('scenes'))


@pytest.fixture
def root(clean, tmp_path):
    return shutil.copytree(clean, tmp_path / 'scenes')


def check(root, **changes):
    return check_datasets(config(root, **changes))


def found(report):
    """code -> number of files"""
    return {finding.code: len(finding.files) for finding in report.findings}


def cut(path, share=0.6):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def promise(path, width, height):
    """A PNG whose header, with a right checksum, is all that there is of it."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header)))


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)


def scramble(path):
    """A stretch of the coded pixels becomes other valid code: decoders return a picture and no error."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(np.random.default_rng(1).integers(0, 255, 60, dtype=np.uint8))
    path.write_bytes(content)


def save_exif(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif, quality=95)


def palette(array, colours):
    picture = Image.fromarray(array).convert('P')
    picture.putpalette(np.asarray(colours, np.uint8).tobytes())
    picture.putdata(array.ravel().tolist())
    return picture


def sixteen_bits(root):
    path = image(root, 1)
    grey = np.asarray(Image.open(path).convert('L')).astype(np.uint16) * 16
    Image.fromarray(grey).save(path)


def copy_pair(root, source, target, split='val'):
    shutil.copy(image(root, source), image(root, target, split))
    shutil.copy(label(root, source), label(root, target, split))


RED = np.array([[255, 0, 0], [0, 255, 0]] * 128)
FAULTS = {
    # name: (code, what to do to the folder, the file that is named or None)
    'missing annotation': ('missing-annotation', lambda r: label(r, 3).unlink(), image),
    'annotation without image': ('annotation-without-image', lambda r: image(r, 3).unlink(), label),
    'upper-case suffix': ('unused-image', lambda r: shutil.copy(image(r, 2), r / 'images/train/x.JPG'), None),
    'empty image': ('empty-image', lambda r: image(r, 3).write_bytes(b''), image),
    'empty annotation': ('empty-annotation', lambda r: label(r, 3).write_bytes(b''), label),
    'text for an image': ('unreadable-image', lambda r: image(r, 3).write_text('<html>404</html>'), image),
    'text for an annotation': ('unreadable-annotation', lambda r: label(r, 3).write_text('no'), label),
    'truncated PNG': ('damaged-image', lambda r: cut(image(r, 3)), image),
    'truncated JPEG': ('damaged-image', lambda r: cut(image(r, 2)), None),
    'nearly whole JPEG': ('damaged-image', lambda r: cut(image(r, 2), 0.97), None),
    'truncated JPEG with an end': (
        'damaged-image',
        lambda r: image(r, 2).write_bytes(image(r, 2).read_bytes()[:-900] + b'\xff\xd9'),
        None,
    ),
    'scrambled JPEG': ('damaged-image', lambda r: scramble(image(r, 2)), None),
    'truncated annotation': ('damaged-annotation', lambda r: cut(label(r, 3)), label),
    'flipped bit': ('damaged-annotation', lambda r: flip_bit(label(r, 3)), label),
    'absurd size': ('too-large-image', lambda r: promise(image(r, 3), 60000, 60000), image),
    'absurd annotation': ('too-large-annotation', lambda r: promise(label(r, 3), 60000, 60000), label),
    'wrong suffix': ('wrong-suffix-image', lambda r: Image.open(image(r, 3)).save(image(r, 3), 'BMP'), image),
    'black image': ('blank-image', lambda r: relabel(image(r, 3), np.zeros_like), image),
    '16-bit image': ('16-bit-image', sixteen_bits, None),
    'half turn by EXIF': ('exif-unclear-image', lambda r: save_exif(image(r, 2), 3), None),
    'resized annotation': ('size-mismatch', lambda r: relabel(label(r, 3), lambda a: a[::2, ::2].copy()), label),
    'turned annotation': ('size-mismatch', lambda r: relabel(label(r, 3), lambda a: a.T.copy()), label),
    'JPEG annotation': ('lossy-annotation', lambda r: Image.open(label(r, 3)).save(label(r, 3), 'JPEG'), label),
    'RGB annotation': (
        'grey-rgb-annotation',
        lambda r: relabel(label(r, 3), lambda a: np.dstack([a] * 3)),
        label,
    ),
    'colour annotation': (
        'colour-annotation',
        lambda r: relabel(label(r, 3), lambda a: np.dstack([a, a * 7, a * 3])),
        label,
    ),
    'label out of range': (
        'label-outside-classes',
        lambda r: relabel(label(r, 3), lambda a: np.where(a == 1, 77, a).astype(np.uint8)),
        label,
    ),
    'all ignored': ('fully-ignored', lambda r: relabel(label(r, 3), lambda a: np.full_like(a, 255)), label),
    'training image in val': ('train-val-duplicates', lambda r: copy_pair(r, 3, 3), image),
    'image twice': ('duplicate-images', lambda r: copy_pair(r, 3, 5, 'train'), image),
    'image twice, other labels': ('contradicting-duplicates', lambda r: shutil.copy(image(r, 3), image(r, 5)), image),
    'broken link': ('broken-link', lambda r: (r / 'images/train/x.png').symlink_to(r / 'nowhere.png'), None),
    'link in a circle': ('link-loop', lambda r: (r / 'images/train/x').symlink_to(r / 'images'), None),
}
# What a fault cannot help showing beside its own finding.
COMPANIONS = {
    'link in a circle': {'dataset'},  # which cannot be built
}


def test_no_false_alarm(clean):
    report = check(clean)
    assert report.findings == [] and report.ok
    assert [summary.images for summary in report.summaries] == [12, 5]


@pytest.mark.parametrize('name', FAULTS)
def test_planted_fault_is_found_and_nothing_else(root, name):
    code, plant, file = FAULTS[name]
    plant(root)
    report = check(root)
    codes = found(report)
    assert code in codes, report.findings
    assert set(codes) <= {code} | COMPANIONS.get(name, set()), report.findings
    finding = next(f for f in report.findings if f.code == code)
    if file is not None:
        assert len(finding.files) == 1 and str(file(root, 3)) in finding.files[0]
    assert finding.split in ('train', 'train, val')
    assert report.ok == (finding.gravity != 'error')
    assert finding.fix or finding.gravity == 'note'


# ---- faults of the whole dataset, and the lines that mend them


def mended(root, report, code):
    """The report after the config lines of the fix for 'train' went into both splits."""
    finding = next(f for f in report.findings if f.code == code and f.split == 'train')
    scope = {}
    exec(finding.fix.split('\nor')[0], scope)
    changes = scope['train_dataloader']['dataset']
    changes['metainfo'] = {'classes': CLASSES, **changes.get('metainfo', {})}
    datasets = config(root)
    for dataset in datasets.values():
        dataset.update(changes)
    return check_datasets(datasets)


def test_masks_of_0_and_255(root):
    relabel_all(root, lambda a: np.where(a > 2, 255, 0).astype(np.uint8))
    report = check(root)
    assert {'binary-mask'} <= set(found(report)) <= {'binary-mask', 'class-never-seen'} and not report.ok
    assert not any(finding.gravity == 'error' for finding in mended(root, report, 'binary-mask').findings)


def test_labels_that_count_from_1(root):
    relabel_all(root, lambda a: a + 1)
    report = check(root)
    assert {'off-by-one'} <= set(found(report)) <= {'off-by-one', 'class-never-seen'} and not report.ok
    assert mended(root, report, 'off-by-one').findings == []


def test_reduce_zero_label_on_labels_that_count_from_0(root):
    report = check(root, reduce_zero_label=True)
    assert 'off-by-one' in found(report)
    assert mended(root, report, 'off-by-one').findings == []


def test_labels_stretched_to_be_visible(root):
    relabel_all(root, lambda a: a * 30)
    report = check(root)
    assert {'multiplied-labels'} <= set(found(report)) <= {'multiplied-labels', 'class-never-seen'}
    assert mended(root, report, 'multiplied-labels').findings == []


def test_class_never_seen(root):
    relabel_all(root, lambda a: np.where(a == 6, 255, a).astype(np.uint8))
    report = check(root)
    assert report.ok and [(f.code, f.gravity) for f in report.findings] == [
        ('class-never-seen', 'warning'),
        ('class-never-seen', 'note'),
    ]
    assert "6 'person'" in report.findings[0].message


def test_nothing_counts(root):
    relabel_all(root, lambda a: np.full_like(a, 255))
    assert set(found(check(root))) == {'nothing-labelled'}


def test_masks_of_both_kinds(root):
    relabel_all(root, lambda a: (a > 2).astype(np.uint8))
    relabel(label(root, 3), lambda a: a * 255)
    datasets = config(root)
    for dataset in datasets.values():
        dataset['metainfo'] = dict(classes=('no', 'yes'))
    report = check_datasets(datasets)
    assert [f.code for f in report.findings] == ['mixed-masks']
    assert report.findings[0].files == [str(label(root, 3))]


def test_palettes(root):
    """Equal palettes are fine, if noted; one that differs stands for other classes."""
    relabel_all(root, lambda a: palette(a, RED))
    report = check(root)
    assert report.ok and set(found(report)) == {'palette-annotation'}
    relabel(label(root, 3), lambda a: palette(a, RED[::-1]))
    report = check(root)
    finding = next(f for f in report.findings if f.code == 'palettes-differ')
    assert finding.files == [str(label(root, 3))]


def test_sixteen_bit_annotations_are_fine(root):
    relabel_all(root, lambda a: a.astype(np.uint16))
    report = check(root)
    assert report.ok and {f.gravity for f in report.findings} == {'note'}


def test_exif_turn_that_the_annotation_decides(root):
    save_exif(image(root, 2), 6)
    assert found(check(root)) == {'exif-image': 1}  # as stored
    relabel(label(root, 2), lambda a: np.rot90(a, -1).copy())
    assert found(check(root)) == {'exif-image': 1}  # as shown


def change_images(root, change):
    for path in root.glob('images/*/*'):
        change(Image.open(path)).save(path.with_suffix('.png'))
        if path.suffix != '.png':
            path.unlink()


def loading(root, **loader):
    datasets = config(root)
    for dataset in datasets.values():
        dataset['pipeline'] = [dict(type='LoadImageFromFile', **loader), dict(type='LoadAnnotations')]
    return datasets


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'I;16'])
def test_what_the_loader_keeps_on_purpose_is_no_finding(root, mode):
    """Transparency as a fourth channel, or all 16 bits."""
    if mode == 'I;16':
        change_images(root, lambda i: Image.fromarray(np.asarray(i.convert('L')).astype(np.uint16) * 200))
    else:
        change_images(root, lambda i: i.convert(mode))
    code = '16-bit-image' if mode == 'I;16' else 'alpha-image'
    assert set(found(check(root))) == {code}
    assert check_datasets(loading(root, color_type='unchanged')).findings == []
    datasets = loading(root, color_type='unchanged')
    for dataset in datasets.values():
        dataset['pipeline'][0]['type'] = 'mmcv.LoadImageFromFile'
    assert check_datasets(datasets).findings == []


def test_images_that_only_an_unchanged_loader_tells_apart(root):
    rgba = Image.open(image(root, 3)).convert('RGBA')
    rgba.save(image(root, 3))
    assert found(check(root)) == {'alpha-image': 1}
    report = check_datasets(loading(root, color_type='unchanged'))
    (finding,) = report.findings
    assert (finding.code, finding.gravity) == (
        'image-kinds-differ',
        'error',
    ) and 'most have 3 channels' in finding.message
    assert finding.files == [f'{image(root, 3)}: 4 channels of uint8']


def test_palette_image_read_as_indices(root):
    change_images(root, lambda i: i.quantize(16))
    assert check(root).findings == []
    report = check_datasets(loading(root, color_type='unchanged', imdecode_backend='pillow'))
    assert set(found(report)) == {'palette-image'}
    assert check_datasets(loading(root, color_type='unchanged')).findings == []


def test_exif_turn_that_the_loader_ignores_on_purpose(root):
    save_exif(image(root, 2), 6)
    assert check_datasets(loading(root, color_type='unchanged')).findings == []
    relabel(label(root, 2), lambda a: np.rot90(a, -1).copy())
    assert found(check_datasets(loading(root, color_type='unchanged'))) == {'size-mismatch': 1}
    relabel(label(root, 2), lambda a: np.rot90(a).copy())
    save_exif(image(root, 2), 3)
    assert found(check_datasets(loading(root, color_type='unchanged'))) == {'exif-unclear-image': 1}
    assert check_datasets(loading(root, color_type='color_ignore_orientation')).findings == []


def test_several_faults_at_once_each_under_its_name(root):
    for name in ('truncated JPEG', 'label out of range', 'training image in val'):
        FAULTS[name][1](root)
    (root / 'annotations/val/00.png').unlink()
    report = check(root)
    assert {'damaged-image', 'label-outside-classes', 'train-val-duplicates', 'missing-annotation'} == set(
        found(report)
    )
    assert next(f for f in report.findings if f.code == 'missing-annotation').split == 'val'


def test_split_file(root):
    (root / 'train.txt').write_text('00\n01\n01\nzz\n')
    datasets = config(root)
    datasets['train']['ann_file'] = 'train.txt'
    report = check_datasets(datasets)
    assert {'missing-image': 1, 'repeated-name': 1}.items() <= found(report).items()
    assert report.summaries[0].images == 2


def test_names_that_only_look_alike(root):
    image(root, 3).rename(root / f'images/train/{unicodedata.normalize("NFD", "é")}.png')
    label(root, 3).rename(root / f'annotations/train/{unicodedata.normalize("NFC", "é")}.png')
    report = check(root)
    assert found(report) == {'missing-annotation': 1, 'annotation-without-image': 1}
    assert 'spelling of accents' in report.findings[0].files[0]


# ---- config


def test_faults_of_the_config(root):
    datasets = config(root)
    datasets['val']['metainfo'] = dict(classes=CLASSES[:-1] + ('bus',))
    datasets['train']['ignore_index'] = 3
    codes = found(check_datasets(datasets, num_classes=19))
    assert {'classes-differ', 'ignored-class', 'num-classes'} <= set(codes)
    datasets['train']['data_root'] = str(root / 'elsewhere')
    report = check_datasets(datasets)
    finding = next(f for f in report.findings if f.code == 'dataset')
    assert 'elsewhere' in finding.message and finding.split == 'train' and report.summaries[1].images == 5


def test_wrappers_and_repeated_datasets(root):
    datasets = config(root)
    datasets['train'] = dict(type='RepeatDataset', times=3, dataset=dict(datasets['train']))
    datasets['test'] = datasets['val']
    report = check_datasets(datasets)
    assert report.findings == []
    assert [(s.name, s.images) for s in report.summaries] == [('train', 12), ('val, test', 5)]


def test_joined_folders_of_different_conventions(root):
    """Each part by its own rules; a class that one of them lacks is not missed."""
    whole, part = config(root)['train'], config(root)['val']
    relabel_all(root, lambda a: np.where(a == 6, 255, a).astype(np.uint8))
    for path in (root / 'annotations/val').glob('*.png'):
        relabel(path, lambda a: (a % 7 * 30 + 1).astype(np.uint8))
    part['metainfo'] = dict(classes=CLASSES, label_map={i * 30 + 1: i for i in range(1, 6)} | {1: 6})
    joined = dict(type='ConcatDataset', datasets=[whole, dict(type='RepeatDataset', times=2, dataset=part)])
    report = check_datasets({'train': joined})
    assert report.findings == [], report.findings
    assert [(s.name, s.images) for s in report.summaries] == [('train[0]', 12), ('train[1]', 5)]
    report = check_datasets({'train': dict(joined, datasets=[whole, whole])})
    assert [(f.code, f.split) for f in report.findings] == [('class-never-seen', 'train[0], train[1]')]


def test_drawn_scenes():
    scenes = dict(type='SceneDataset', size=(32, 32), num_scenes=4)
    report = check_datasets({'train': scenes, 'val': dict(scenes, split='val')}, nproc=2)
    assert report.ok and [s.images for s in report.summaries] == [4, 4]
    report = check_datasets({'train': scenes, 'val': dict(scenes, num_scenes=3)})
    assert found(report)['train-val-duplicates'] == 3


# ---- the report


def test_several_processes_find_the_same(root):
    for name in ('truncated JPEG', 'label out of range', 'RGB annotation'):
        FAULTS[name][1](root)
    one, two = check(root).to_dict(), check_datasets(config(root), nproc=2).to_dict()
    assert {**one, 'seconds': 0} == {**two, 'seconds': 0}
    json.dumps(one)


def test_figures(root, clean):
    labels = [np.asarray(Image.open(label(clean, index))) for index in range(12)]
    summary = check(root).summaries[0]
    assert summary.class_pixels == np.bincount(np.ravel(labels), minlength=8).tolist()
    assert summary.class_images == [sum((array == c).any() for array in labels) for c in range(8)]
    assert summary.pixels == np.size(labels) and summary.ignored == 0
    assert summary.sizes == {SIZE: 12}


def test_text_says_what_where_and_how_to_mend_it(root, capsys):
    relabel(label(root, 3), lambda a: a + 100)
    os.rename(image(root, 5), root / 'images/train/[bold]ä b.png')
    os.rename(label(root, 5), root / 'annotations/train/[bold]ä b.png')
    cut(root / 'images/train/[bold]ä b.png')
    check(root).show(Console(width=200))
    printed = capsys.readouterr().out
    for part in ('Not good: 2 errors', str(label(root, 3)), 'label_map={10', '[bold]ä b.png', 'max_bad_samples=1'):
        assert part in printed
