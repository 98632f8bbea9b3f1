"""Samples that cannot be read: replaced, counted, named, and at last too many."""

import random

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from mmseg.datasets import BaseSegDataset

LOAD = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]


@pytest.fixture
def many(tmp_path):
    """20 pairs; image k shows k in every pixel. Four are unreadable: 3, 7, 8, 15."""
    for index in range(20):
        for folder, suffix in (('img', '.png'), ('ann', '.png')):
            (tmp_path / folder).mkdir(exist_ok=True)
            array = np.full((4, 6), index, np.uint8) if folder == 'img' else np.zeros((4, 6), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f'{index:02}{suffix}'), array)
    (tmp_path / 'img/03.png').write_bytes(b'')
    (tmp_path / 'img/07.png').write_text('no image')
    (tmp_path / 'ann/08.png').write_bytes((tmp_path / 'ann/08.png').read_bytes()[:-30])
    return tmp_path


def build(root, **kwargs):
    folders = {'img_path': 'img', 'seg_map_path': 'ann'}
    return BaseSegDataset(
        data_root=str(root), data_prefix=folders, metainfo={'classes': ('cat', 'dog', 'grass')}, **kwargs
    )


def lose_15(root, dataset):
    """The dataset has found its files when this one goes."""
    (root / 'img/15.png').unlink()
    return dataset


def shown(items):
    return [int(item['img'][0, 0, 0]) for item in items]


@pytest.fixture
def logged(caplog):
    logger = MMLogger.get_instance('test_bad_samples')
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_bad_samples_are_replaced_counted_and_named(many, logged):
    dataset = lose_15(many, build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=4))
    first = shown(dataset[i] for i in range(20))
    assert [index for index, value in enumerate(first) if value != index] == [3, 7, 8, 15]
    assert not set(first) & {3, 7, 8, 15} and len(dataset._bad_samples) == 4
    messages = bad_samples_in(logged)
    for number, (message, name) in enumerate(zip(messages, ('03', '07', '08', '15'), strict=True), 1):
        assert f'bad sample {number} ' in message and f'{name}.png' in message

    # Again, in another order, from the middle (as after a resume), with other states of the global generators.
    np.random.seed(5)
    random.seed(5)
    assert shown(dataset[i] for i in reversed(range(20))) == first[::-1]
    assert shown([dataset[-5]]) == [first[15]]
    fresh = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=4, ann_file=split_of(many))
    assert shown(fresh[i] for i in range(10, 20)) == first[10:]
    assert len(bad_samples_in(logged)) == 5  # 15 is new to the fresh one, and nothing was logged twice


def bad_samples_in(caplog):
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if message.startswith('bad sample')]


def split_of(root):
    """All 20, also those whose file is gone; an empty one takes its place."""
    (root / 'img/15.png').touch()
    (root / 'all.txt').write_text('\n'.join(f'{index:02}' for index in range(20)))
    return 'all.txt'


def test_replacements_leave_the_global_generators_alone(many):
    dataset = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=4)
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    dataset[3]
    assert np.random.rand() == expected


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_the_number_of_workers_changes_nothing(many, workers):
    def items(limit):
        dataset = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=limit)
        loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=list)
        return dataset, [item for batch in loader for item in batch]

    dataset, batch = items(3)
    alone = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=3)
    assert shown(batch) == shown(alone[i] for i in range(20))
    assert len(dataset._bad_samples) == 3  # this process knows what its workers met
    with pytest.raises(RuntimeError, match=r'3 of 20 samples are unreadable, and max_bad_samples=2 .*\.png'):
        items(2)


def test_without_max_bad_samples_the_first_one_ends_it(many):
    with pytest.raises(ValueError, match=r'03\.png.*0 bytes'):
        build(many, img_suffix='.png', pipeline=LOAD)[3]


def test_it_ends_where_no_sample_is_left(many):
    for file in many.glob('img/*.png'):
        file.write_bytes(b'')
    dataset = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=100)
    with pytest.raises(RuntimeError, match='20 of 20 samples'):
        dataset[0]


def test_wrong_labels_and_sizes_are_no_bad_samples(many):
    cv2.imwrite(str(many / 'ann/00.png'), np.full((4, 6), 9, np.uint8))
    cv2.imwrite(str(many / 'ann/01.png'), np.zeros((4, 5), np.uint8))
    dataset = build(many, img_suffix='.png', pipeline=LOAD, max_bad_samples=10)
    for index, text in ((0, r'00\.png.*label\(s\) 9'), (1, r'01\.png.*4x5')):
        with pytest.raises(ValueError, match=text):
            dataset[index]


@pytest.mark.parametrize('kwargs', [{'max_bad_samples': -1}, {'max_bad_samples': 1, 'test_mode': True}])
def test_bad_max_bad_samples(many, kwargs):
    with pytest.raises(ValueError, match=r'max_bad_samples=-?1 .*train_dataloader'):
        build(many, img_suffix='.png', **kwargs)
