"""Archives read in place."""

import multiprocessing
import zipfile

import pytest
from mmengine import fileio

from mmseg.utils import zip_files


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name in ('top/x/1.txt', 'top/x/2.txt', 'top/y.txt', '__MACOSX/top/._y.txt'):
            file.writestr(name, f'{name} ' * 200)
    return zip_files.zip_path(path)


def test_files_and_folders(archive):
    assert fileio.get_text(f'{archive}/top/x/2.txt').startswith('top/x/2.txt')
    assert list(fileio.list_dir_or_file(archive, list_dir=False, recursive=True)) == [
        'top/x/1.txt',
        'top/x/2.txt',
        'top/y.txt',
    ]
    assert sorted(fileio.list_dir_or_file(f'{archive}/top')) == ['x', 'y.txt']
    assert fileio.isdir(archive) and fileio.isdir(f'{archive}/top/x') and not fileio.isdir(f'{archive}/top/y.txt')
    assert fileio.exists(f'{archive}/top/y.txt') and not fileio.exists(f'{archive}/top/z.txt')
    assert fileio.join_path(archive, '', 'top', 'y.txt') == f'{archive}/top/y.txt'


def _first_word(path):
    return fileio.get_text(path).split()[0]


def test_forked_processes_read_at_once(archive):
    names = [f'{archive}/top/x/{1 + i % 2}.txt' for i in range(40)]
    fileio.get(names[0])  # open before the fork, as a training's main process has it
    with multiprocessing.get_context('fork').Pool(3) as pool:
        assert pool.map(_first_word, names) == [name.rpartition('.zip/')[2] for name in names]


def test_an_archive_that_changed_is_read_anew(archive, tmp_path):
    fileio.get(f'{archive}/top/y.txt')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        file.writestr('new.txt', 'new')
    assert fileio.get_text(f'{archive}/new.txt') == 'new'


def test_what_is_wrong(archive, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no file 'top/z.txt'"):
        fileio.get(f'{archive}/top/z.txt')
    with pytest.raises(ValueError, match='names no archive'):
        fileio.get('zip://folder/file.txt')
    content = bytearray((tmp_path / 'a.zip').read_bytes())
    content[60:70] = b'0123456789'
    (tmp_path / 'broken.zip').write_bytes(content)
    with pytest.raises(ValueError, match="'top/x/1.txt' in .* is damaged"):
        fileio.get(f'{zip_files.zip_path(tmp_path / "broken.zip")}/top/x/1.txt')
    (tmp_path / 'cut.zip').write_bytes(content[:100])
    with pytest.raises(ValueError, match='its end is missing'):
        fileio.get(f'{zip_files.zip_path(tmp_path / "cut.zip")}/top/x/1.txt')
