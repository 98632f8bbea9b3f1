import pickle
import random
import unicodedata

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg.datasets import BaseSegDataset
from mmseg.datasets.basesegdataset import distinct_palette
from mmseg.registry import DATASETS

FOLDERS = {'img_path': 'img', 'seg_map_path': 'ann'}
META = {'classes': ('cat', 'dog', 'grass')}
LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]


class PetDataset(BaseSegDataset):
    METAINFO = {'classes': ('cat', 'dog', 'grass'), 'palette': [[1, 1, 1], [2, 2, 2], [3, 3, 3]]}


class VoidPetDataset(PetDataset):
    METAINFO = {**PetDataset.METAINFO, 'label_map': {7: -1, 100: 1}}


@pytest.fixture
def root(tmp_path):
    """Three pairs, one of them in a subfolder; labels 0, 1, 2."""
    for index, name in enumerate(('b', 'a', 'sub/c')):
        for folder, suffix in (('img', '.jpg'), ('ann', '.png')):
            (tmp_path / folder / 'sub').mkdir(parents=True, exist_ok=True)
            shape = (4, 6, 3) if folder == 'img' else (4, 6)
            cv2.imwrite(str(tmp_path / folder / f'{name}{suffix}'), np.full(shape, index, np.uint8))
    return tmp_path


def build(root, cls=BaseSegDataset, **kwargs):
    kwargs = {'data_root': str(root), 'data_prefix': FOLDERS, 'metainfo': META, **kwargs}
    return cls(**kwargs)


def names(dataset, key='img_path'):
    return [dataset.get_data_info(i)[key] for i in range(len(dataset))]


# ---- samples ----


def test_pairs_are_sorted_and_reach_into_subfolders(root):
    dataset = build(root)
    assert names(dataset) == [f'{root}/img/{name}.jpg' for name in ('a', 'b', 'sub/c')]
    assert names(dataset, 'seg_map_path') == [f'{root}/ann/{name}.png' for name in ('a', 'b', 'sub/c')]


def test_data_info_has_what_the_transforms_ask_for(root):
    info = build(root, reduce_zero_label=True, ignore_index=200).get_data_info(-1)
    assert info == {
        'img_path': f'{root}/img/sub/c.jpg',
        'seg_map_path': f'{root}/ann/sub/c.png',
        'sample_idx': 2,
        'label_map': None,
        'reduce_zero_label': True,
        'ignore_index': 200,
        'num_classes': 3,
        'seg_fields': [],
    }
    dataset = build(root, serialize_data=False)
    dataset.get_data_info(0)['seg_fields'].append('gt_seg_map')
    assert dataset.get_data_info(0)['seg_fields'] == []


def test_split_file_gives_choice_and_order(root):
    (root / 'split.txt').write_text('sub/c\n\na\r\n')
    dataset = build(root, ann_file='split.txt')
    assert names(dataset) == [f'{root}/img/sub/c.jpg', f'{root}/img/a.jpg']
    (root / 'ann' / 'b.png').unlink()  # not in the split, so not missed
    assert len(build(root, ann_file=str(root / 'split.txt'))) == 2


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32'])
def test_split_and_class_files_of_other_systems(root, encoding):
    (root / 'split.txt').write_bytes('sub\\c \r\na\t\r\n'.encode(encoding))
    (root / 'classes.txt').write_bytes('cat\rdog\rhigh grass\r'.encode(encoding))
    dataset = build(root, ann_file='split.txt', metainfo={'classes': str(root / 'classes.txt')})
    assert names(dataset) == [f'{root}/img/sub/c.jpg', f'{root}/img/a.jpg']
    assert dataset.metainfo['classes'] == ['cat', 'dog', 'high grass']


def test_a_backslash_that_belongs_to_a_name(root):
    for folder, suffix in (('img', '.jpg'), ('ann', '.png')):
        (root / folder / f'a{suffix}').rename(root / folder / f'sub\\c{suffix}')
    (root / 'split.txt').write_text('sub\\c\nb\n')
    assert names(build(root, ann_file='split.txt')) == [f'{root}/img/sub\\c.jpg', f'{root}/img/b.jpg']


def test_accents_of_other_systems(root):
    short, long = (unicodedata.normalize(form, 'caf\u00e9') for form in ('NFC', 'NFD'))
    assert short != long
    for folder, suffix in (('img', '.jpg'), ('ann', '.png')):
        (root / folder / f'a{suffix}').rename(root / folder / f'{long}{suffix}')
        (root / folder / f'b{suffix}').rename(root / folder / f'x{short}{suffix}')
    (root / 'split.txt').write_text(f'{short}\nx{long}\n', encoding='utf-8')
    assert names(build(root, ann_file='split.txt')) == [f'{root}/img/{long}.jpg', f'{root}/img/x{short}.jpg']


def test_files_in_a_local_encoding_are_refused(root):
    (root / 'split.txt').write_bytes('a\nb\u00fcro\n'.encode('latin-1'))
    expect(ValueError, root, 'split.txt', 'line 2', 'UTF-8', ann_file='split.txt')
    expect(ValueError, root, 'split.txt', 'line 2', 'UTF-8', metainfo={'classes': str(root / 'split.txt')})


@pytest.mark.parametrize(
    ('indices', 'expected'),
    [(2, ['a', 'b']), (-1, ['sub/c']), ([2, 0], ['sub/c', 'a']), (99, ['a', 'b', 'sub/c'])],
)
def test_indices(root, indices, expected):
    assert names(build(root, indices=indices)) == [f'{root}/img/{name}.jpg' for name in expected]


def test_lazy_init_looks_for_files_later(root):
    dataset = build(root / 'nowhere', lazy_init=True)
    assert dataset.metainfo['classes'] == META['classes']
    assert len(dataset.metainfo['palette']) == 3
    with pytest.raises(FileNotFoundError):
        dataset.full_init()


def test_several_image_suffixes(root):
    (root / 'img' / 'd.jpeg').touch()
    (root / 'ann' / 'd.png').touch()
    assert len(build(root)) == 3
    assert names(build(root, img_suffix=('.jpg', '.jpeg')))[2] == f'{root}/img/d.jpeg'
    (root / 'img' / 'd.jpg').touch()
    with pytest.raises(ValueError, match=r'd\.jpe?g and d\.jpe?g, and both would take the label map d\.png'):
        build(root, img_suffix=('.jpg', '.jpeg'))


def test_one_folder_with_one_extension(tmp_path):
    for name in ('a', 'a_mask', 'b', 'b_mask'):
        (tmp_path / f'{name}.png').touch()
    dataset = BaseSegDataset(data_root=str(tmp_path), img_suffix='.png', seg_map_suffix='_mask.png', metainfo=META)
    assert names(dataset) == [f'{tmp_path}/a.png', f'{tmp_path}/b.png']
    assert names(dataset, 'seg_map_path') == [f'{tmp_path}/a_mask.png', f'{tmp_path}/b_mask.png']


@pytest.mark.parametrize('prefix', [{'img_path': 'img'}, {'img_path': 'img', 'seg_map_path': None}])
def test_images_only(root, prefix):
    dataset = build(root, data_prefix=prefix, test_mode=True)
    assert len(dataset) == 3
    assert 'seg_map_path' not in dataset.get_data_info(0)


def test_images_only_are_tested_without_their_annotations(root):
    """A test split without labels takes the usual test pipeline."""
    dataset = build(root, data_prefix={'img_path': 'img'}, test_mode=True, pipeline=LOAD)
    assert dataset[0]['img'].shape == (4, 6, 3) and 'gt_seg_map' not in dataset[0]
    with pytest.raises(ValueError, match='has no annotation'):  # training needs them
        build(root, data_prefix={'img_path': 'img'}, pipeline=LOAD)[0]


def test_home_folder(root, monkeypatch):
    monkeypatch.setenv('HOME', str(root))
    assert len(build('~')) == 3


def test_links_are_followed_but_not_in_circles(root):
    (root / 'img' / 'd.jpg').symlink_to(root / 'img/a.jpg')
    (root / 'ann' / 'd.png').symlink_to(root / 'ann/a.png')
    assert len(build(root)) == 4
    (root / 'img' / 'again').symlink_to(root / 'img')
    expect(ValueError, root, root / 'img', 'leads back to a folder', 'again')


def test_names_with_spaces_and_accents(root):
    for folder, suffix in (('img', '.jpg'), ('ann', '.png')):
        (root / folder / f'a{suffix}').rename(root / folder / f'é 日本 %20{suffix}')
    assert build(root, pipeline=LOAD)[2]['img_path'] == f'{root}/img/é 日本 %20.jpg'


def test_survives_a_worker_process(root):
    assert names(pickle.loads(pickle.dumps(build(root)))) == names(build(root))


# ---- pipeline ----


def test_pipeline_uses_this_packages_transforms_without_default_scope(root):
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}, {'type': 'PackSegInputs'}]
    config = {
        'type': 'BaseSegDataset', 'data_root': str(root), 'data_prefix': FOLDERS, 'metainfo': META,
        'pipeline': pipeline,
    }  # fmt: skip
    sample = DATASETS.build(config)[2]
    assert sample['inputs'].shape == (3, 4, 6)
    assert sample['data_samples'].gt_sem_seg.data.unique().tolist() == [2]


def test_label_outside_the_classes_comes_through(root):
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
    dataset = build(root, metainfo={'classes': ('cat', 'dog')}, pipeline=pipeline)
    dataset[0]
    with pytest.raises(ValueError, match='label'):
        dataset[2]


def test_none_is_replaced_in_training_only(root):
    def drop_a(info):
        return None if info['img_path'].endswith('a.jpg') else info

    assert build(root, pipeline=[drop_a])[0] is not None
    with pytest.raises(Exception, match='None'):
        build(root, pipeline=[drop_a], test_mode=True)[0]


# ---- classes, palette, label map ----


def test_subset_and_order_of_classes():
    dataset = PetDataset(metainfo={'classes': ('grass', 'cat')}, lazy_init=True)
    assert dataset.metainfo['classes'] == ('grass', 'cat')
    assert dataset.metainfo['palette'] == [[3, 3, 3], [1, 1, 1]]
    assert dataset.metainfo['label_map'] == {0: 1, 1: 255, 2: 0}
    assert PetDataset.METAINFO['classes'] == ('cat', 'dog', 'grass')
    assert PetDataset.get_label_map(('cat', 'dog', 'grass')) is None
    assert PetDataset.get_label_map() is None


def test_left_out_classes_take_the_datasets_ignore_index():
    dataset = PetDataset(metainfo={'classes': ['dog']}, ignore_index=99, lazy_init=True)
    assert dataset.metainfo['label_map'] == {0: 99, 1: 0, 2: 99}


def test_unknown_class_names_the_close_one():
    with pytest.raises(ValueError, match=r"PetDataset has no class 'gras'; close to it: \['grass'\]"):
        PetDataset(metainfo={'classes': ('cat', 'gras')}, lazy_init=True)


def test_label_map_of_a_dataset_goes_before_the_choice_of_classes():
    assert VoidPetDataset(lazy_init=True).metainfo['label_map'] == {7: 255, 100: 1}
    chosen = VoidPetDataset(metainfo={'classes': ('dog', 'cat')}, lazy_init=True)
    assert chosen.metainfo['label_map'] == {0: 1, 1: 0, 2: 255, 7: 255, 100: 0}


def test_label_map_in_a_config(root):
    """A mask of 0 and 255 becomes two classes without any Python."""
    cv2.imwrite(str(root / 'ann' / 'a.png'), np.array([[0, 255, 255]] * 4, np.uint8).repeat(2, 1))
    meta = {'classes': ('background', 'crack'), 'label_map': {255: 1}}
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
    dataset = build(root, metainfo=meta, pipeline=pipeline)
    assert np.unique(dataset[0]['gt_seg_map'], return_counts=True)[1].tolist() == [8, 16]


@pytest.mark.parametrize('label_map', [{0: 3}, {'0': 1}, {0: 'cat'}])
def test_bad_label_map(label_map):
    with pytest.raises(ValueError, match=r'metainfo\.label_map: .* one of 3 classes'):
        BaseSegDataset(metainfo={**META, 'label_map': label_map}, lazy_init=True)


def test_classes_from_a_text_file(tmp_path):
    file = tmp_path / 'classes.txt'
    file.write_text('dog\ncat\n\n')
    dataset = PetDataset(metainfo={'classes': str(file)}, lazy_init=True)
    assert list(dataset.metainfo['classes']) == ['dog', 'cat']
    assert dataset.metainfo['label_map'] == {0: 1, 1: 0, 2: 255}
    with pytest.raises(FileNotFoundError, match=r"'crack'.*classes=\('crack',\)"):
        BaseSegDataset(metainfo={'classes': 'crack'}, lazy_init=True)


def test_own_palette_is_kept():
    meta = {'classes': ('dog', 'cat'), 'palette': [[9, 9, 9], (8, 8, 8)]}
    assert PetDataset(metainfo=meta, lazy_init=True).metainfo['palette'] == [[9, 9, 9], [8, 8, 8]]


@pytest.mark.parametrize(
    ('meta', 'message'),
    [
        ({'classes': ('a', 'b'), 'palette': [[1, 2, 3]]}, '1 colours for 2 classes'),
        ({'classes': ('a',), 'palette': [[1, 2, 256]]}, r'\[1, 2, 256\] is not a colour'),
        ({'classes': ('a',), 'palette': [[1, 2]]}, r'\[1, 2\] is not a colour'),
        ({'classes': ('a', 'b', 'a')}, r"repeated: \['a'\]"),
        ({'classes': ()}, 'different names'),
        ({'classes': (0, 1)}, 'different names'),
        ({'CLASSES': ('a',)}, r"\['CLASSES'\]; write classes"),
    ],
)
def test_bad_metainfo(meta, message):
    with pytest.raises(ValueError, match=message):
        BaseSegDataset(metainfo=meta, lazy_init=True)


def test_evaluation_needs_classes():
    with pytest.raises(ValueError, match='metainfo'):
        BaseSegDataset(test_mode=True, lazy_init=True)


@given(st.integers(1, 600))
def test_made_up_colours_differ_and_leave_the_generators_alone(count):
    random.seed(0)
    np.random.seed(0)
    states = random.getstate(), np.random.get_state()[1].tolist()
    palette = distinct_palette(count)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert len({tuple(colour) for colour in palette}) == count
    assert all(0 <= value <= 255 for colour in palette for value in colour)
    assert palette == distinct_palette(600)[:count]
    assert palette[0] == [128, 0, 0]  # as Pascal VOC's first class


# ---- errors ----


def expect(error, root, *parts, **kwargs):
    """Building fails, and the message has all ``parts``."""
    with pytest.raises(error) as caught:
        build(root, **kwargs)
    for part in parts:
        assert str(part) in str(caught.value)


def test_missing_folder(root):
    prefix = {'img_path': 'imgs/train', 'seg_map_path': 'ann'}
    parts = ("'imgs/train'", 'data_root', 'data_prefix.img_path', root / 'imgs/train', f'exists up to {root}')
    expect(FileNotFoundError, root, 'image folder', *parts, data_prefix=prefix)
    prefix = {'img_path': 'img', 'seg_map_path': 'anns'}
    expect(FileNotFoundError, root, 'label map folder', 'data_prefix.seg_map_path', data_prefix=prefix)


def test_no_folder_at_all():
    with pytest.raises(ValueError, match='where is the image folder'):
        BaseSegDataset(metainfo=META)


def test_no_image_with_the_suffix(root):
    (root / 'img' / 'readme').touch()
    parts = ("'.bmp'", root / 'img', '4 files (3 .jpg, 1 without suffix)', 'img_suffix')
    expect(FileNotFoundError, root, *parts, img_suffix='.bmp')
    (root / 'empty').mkdir()
    expect(FileNotFoundError, root, 'no files', data_prefix={'img_path': 'empty'})


@pytest.mark.parametrize('test_mode', [False, True])
def test_image_without_label_map(root, test_mode):
    (root / 'ann' / 'sub' / 'c.png').unlink()
    parts = ('1 of 3 images', f'sub/c.jpg -> {root}/ann/sub/c.png', '2 files (2 .png)', 'seg_map_suffix')
    expect(FileNotFoundError, root, *parts, test_mode=test_mode)


def test_only_some_offenders_are_named(root):
    for index in range(30):
        (root / 'img' / f'x{index:02}.jpg').touch()
    with pytest.raises(FileNotFoundError, match='30 of 33') as caught:
        build(root)
    assert str(caught.value).count(' -> ') == 5


def test_split_file_errors(root):
    expect(FileNotFoundError, root, root / 'no.txt', 'ann_file', 'data_root', ann_file='no.txt')
    (root / 'split.txt').write_text('a\nz\n')
    parts = (root / 'split.txt', '1 images (of 2)', root / 'img', "'.jpg'", ': z')
    expect(FileNotFoundError, root, *parts, ann_file='split.txt')
    (root / 'split.txt').write_text('a.jpg\n')
    expect(FileNotFoundError, root, 'without their suffix', ann_file='split.txt')
    (root / 'split.txt').write_text('\n')
    expect(ValueError, root, 'empty', ann_file='split.txt')


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (
            {'data_prefix': {'img_path': ['a', 'b'], 'seg_map_path': 'ann'}},
            'data_prefix.img_path=.* must be one folder',
        ),
        ({'data_prefix': {'img_dir': 'img', 'ann_dir': 'ann'}}, r"unknown: \['ann_dir', 'img_dir'\]"),
        ({'data_prefix': {'seg_map_path': 'ann'}}, 'must have img_path'),
        ({'indices': 0}, 'selects no sample'),
        ({'indices': []}, 'selects no sample'),
    ],
)
def test_bad_arguments(root, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(root, **kwargs)


def test_unknown_argument_raises(root):
    with pytest.raises(TypeError, match='img_dir'):
        build(root, img_dir='img')
