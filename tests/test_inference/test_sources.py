"""Everything that can be pointed at, and the names that its results get."""

import errno
import io
import os

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from mmseg.inference.sources import Source, frames


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for name in ('a.jpg', 'b.PNG', 'sub/c.tif', 'sub/deep/d.webp', '.hidden.jpg', '.thumbs/e.jpg', 'notes.doc'):
        path = tmp_path / 'photos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'photos'


def names(inputs, **options):
    return [entry.name for entry in Source(inputs, **options)]


def test_a_folder_is_searched_and_its_structure_kept(photos):
    expected = ['a', 'b', 'sub/c', 'sub/deep/d']
    for given in (photos, 'photos', 'photos/', [str(photos)], './photos', 'photos/**/*'):
        assert names(given) == expected
    assert names('photos/*.jpg') == ['a'] and names('photos/sub/**/*.webp') == ['deep/d']
    source = Source(photos)
    assert source.images == 4 and not source.is_single and not source.is_endless
    assert [os.path.relpath(entry.source, photos) for entry in source][-1] == 'sub/deep/d.webp'


def test_links_are_followed_once(photos):
    (photos / 'sub' / 'back').symlink_to(photos)
    assert names(photos) == ['a', 'b', 'sub/c', 'sub/deep/d']


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    said, scandir = [], os.scandir

    def closed(place):
        if os.path.basename(place) == 'deep':
            raise PermissionError(errno.EACCES, 'Permission denied', place)
        return scandir(place)

    monkeypatch.setattr(os, 'scandir', closed)
    monkeypatch.setattr('mmseg.inference.sources.print_log', lambda text, *_: said.append(text))
    assert names(photos) == ['a', 'b', 'sub/c']
    assert len(said) == 1 and 'deep' in said[0] and said[0].endswith('cannot be read: Permission denied')


def test_files_keep_the_folders_that_tell_them_apart(photos):
    assert names('photos/a.jpg') == ['a'] and Source('photos/a.jpg').is_single
    assert names(['photos/a.jpg', photos / 'sub' / 'c.tif']) == ['a', 'sub/c']
    other = photos.parent / 'other'
    other.mkdir()
    (other / 'a.jpg').write_bytes(b'')
    assert names(['photos', 'other']) == ['photos/a', 'photos/b', 'photos/sub/c', 'photos/sub/deep/d', 'other/a']
    assert names(['photos/a.jpg', 'other/a.jpg']) == ['photos/a', 'other/a']


def test_two_images_of_one_name_have_two_results(photos):
    (photos / 'a.png').write_bytes(b'')
    assert names(photos)[:2] == ['a', 'a.png']
    assert names(['photos/a.jpg'] * 3) == ['a', 'a.jpg', 'a_3']


def test_lists_of_names(photos, monkeypatch):
    listed = ['photos/a.jpg', 'photos/sub/c.tif', 'photos/gone.jpg']
    (photos / 'list.txt').write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(listed).encode())
    assert names('photos/list.txt') == ['a', 'sub/c', 'gone']  # the missing one is reported when its turn comes
    monkeypatch.setattr('sys.stdin', io.StringIO('\n'.join(listed) + '\n\n'))
    assert names('-') == ['a', 'sub/c', 'gone']
    (photos / 'list.txt').write_text('\n')
    with pytest.raises(FileNotFoundError, match=r"list 'photos/list.txt' has no image"):
        Source('photos/list.txt')


def test_images_in_memory_keep_their_place():
    array, picture, tensor = np.zeros((4, 4, 3), np.uint8), PIL.Image.new('RGB', (4, 4)), torch.zeros(3, 4, 4)
    assert names([array, picture, tensor]) == ['image_000000', 'image_000001', 'image_000002']
    assert Source(array).is_single and not Source([array, array]).is_single
    assert [entry.source for entry in Source([array, [picture]])][1] is picture


def test_an_iterator_is_taken_from_when_its_turn_comes():
    taken = []

    def images():
        for i in range(3):
            taken.append(i)
            yield np.zeros((4, 4, 3), np.uint8)

    entries = iter(Source(images()))
    assert next(entries).name == 'image_000000' and taken == [0]
    assert Source(iter(['x/a.jpg'])).images is None and names(iter(['x/a.jpg', 'y/a.jpg'])) == ['a', 'a.jpg']


def test_results_are_no_inputs(photos):
    inside = photos / 'labels'
    inside.mkdir()
    (inside / 'a.png').write_bytes(b'')
    assert names(photos, skip=[str(inside)]) == ['a', 'b', 'sub/c', 'sub/deep/d']
    assert names('photos/**/*', skip=[str(inside)]) == ['a', 'b', 'sub/c', 'sub/deep/d']
    with pytest.raises(ValueError, match='lies among the results'):
        Source('photos/labels/a.png', skip=[str(inside)])


def test_videos_cameras_and_streams(tmp_path):
    path = str(tmp_path / 'clip.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 24))
    for value in (10, 200, 90):
        writer.write(np.full((24, 32, 3), value, np.uint8))
    writer.release()
    source = Source(path)
    assert [(entry.name, entry.is_video) for entry in source] == [('clip', True)] and source.images == 3
    assert [round(frame.mean(), -1) for frame in frames(path)] == [10, 200, 90]
    for given, name in ((0, 'camera-0'), ('3', 'camera-3'), ('rtsp://u:p@cam.local:554/live', 'cam.local_554_live')):
        source = Source(given)
        assert names(given) == [name] and source.is_endless and source.images is None
    assert [(e.name, e.is_video) for e in Source('https://x.org/a/cat.jpg?s=1')] == [('x.org_a_cat', False)]


def test_what_is_not_there_is_said(photos):
    for given, message in (
        ('photos/a.jpgg', "did you mean 'photos/a.jpg'"),
        ('nowhere/a.jpg', "no folder 'nowhere'"),
        ('photos/*.bmp', r"pattern 'photos/\*.bmp' has no image"),
        ([], 'no input'),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            Source(given)
    (photos.parent / 'docs').mkdir()
    with pytest.raises(FileNotFoundError, match=r"folder 'docs' has no image \(it is empty\)"):
        Source('docs')
    (photos.parent / 'docs' / 'x.pdf').write_bytes(b'')
    with pytest.raises(FileNotFoundError, match=r'it holds \.pdf files'):
        Source('docs')
    (photos / 'empty.mp4').write_bytes(b'')
    for broken in (str(photos / 'empty.mp4'), 97):
        with pytest.raises(OSError, match='cannot be opened'):
            next(frames(broken))
