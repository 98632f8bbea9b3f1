import numpy as np
import pytest

from mmseg.datasets.checks.facts import Facts
from mmseg.datasets.discovery.prepare import Pair
from mmseg.datasets.discovery.splitting import split
from mmseg.datasets.formats.source import Notes


def known(name, split=None, values=(0,), content=None):
    """A pair, and what is known of it; images of the same content are copies."""
    return Pair(name, name, split), Facts(name, name, image_hash=content or name.encode(), values=np.array(values))


def names(pairs):
    return sorted(pair.image for pair in pairs)


@pytest.mark.parametrize('only', ['val', 'test'])
def test_one_folder_of_another_name_is_what_there_is_to_train_on(only):
    pairs = [known(f'{i}.png', only) for i in range(10)]
    found, how = split(pairs, {}, Notes())
    assert {name: len(part) for name, part in found.items()} == {'train': 8, 'val': 2}
    assert how == 'as folders say, and 20% of the training images drawn for validation'


def test_a_single_image_to_train_on_is_validated_on_the_test_set():
    found, how = split([known('a', 'train'), known('b', 'test'), known('c', 'test')], {}, Notes())
    assert {name: names(part) for name, part in found.items()} == {'train': ['a'], 'val': ['b', 'c']}
    assert how == 'as folders say'


def test_lists_come_before_folders():
    found, how = split([known('a', 'train'), known('b', 'train')], {'b': 'val'}, Notes())
    assert {name: names(part) for name, part in found.items()} == {'train': ['a'], 'val': ['b']}
    assert how == 'as lists of names say'


def test_the_draw_depends_on_an_image_alone_and_keeps_copies_together():
    notes = Notes()
    pairs = [known(f'{i}.png', content=b'same' if i < 3 else None) for i in range(20)]
    found, _ = split(pairs, {}, notes)
    again, _ = split(pairs[::-1], {}, Notes())
    assert names(found['val']) == names(again['val'])
    assert {'0.png', '1.png', '2.png'} <= set(names(found['train'])) or {'0.png', '1.png', '2.png'} <= set(
        names(found['val'])
    )
    assert [note.count for note in notes] == [2]


def test_a_class_that_few_images_have_stays_in_training():
    plain = [known(f'{i}.png') for i in range(20)]
    drawn = names(split(plain, {}, Notes())[0]['val'])
    rare = [known(f'{i}.png', values=(0, 7) if f'{i}.png' == drawn[0] else (0,)) for i in range(20)]
    assert names(split(rare, {}, Notes())[0]['val']) == drawn[1:]


def test_copies_of_one_image_are_no_two_splits():
    with pytest.raises(ValueError, match='all 3 images are copies of one'):
        split([known(f'{i}.png', content=b'same') for i in range(3)], {}, Notes())
