import hashlib
import io
import random
import struct
import tarfile
import zipfile

import pytest
import torch

from mmseg.checkpoints import check_checkpoint_file, load_checkpoint_file, save_checkpoint_file
from mmseg.checkpoints.checksum import save_with_checksum

GENERATOR = torch.Generator().manual_seed(0)
CONTENT = {
    'state_dict': {
        'a.weight': torch.randn(4, 3, generator=GENERATOR),
        'b': torch.arange(5),
        'c': torch.tensor(1.5, dtype=torch.bfloat16),
        'd': torch.zeros(0, 3),
    },
    'meta': {
        'iter': 3,
        'dataset_meta': {'classes': ['road', 'sky'], 'palette': [[1, 2, 3], [4, 5, 6]]},
        'cfg': 'a = 1',
    },
}


def same(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and first.shape == second.shape and torch.equal(first, second)
    return type(first) is type(second) and first == second


def cuts(data):
    rng = random.Random(1)
    return [data[: rng.randrange(len(data))] for _ in range(200)]


def flips(data):
    rng = random.Random(2)
    changed = []
    for place in (rng.randrange(len(data)) for _ in range(200)):
        changed.append(data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :])
    return changed


@pytest.mark.parametrize('change', [cuts, flips])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_damage_is_found_out_or_changes_nothing(tmp_path, suffix, change):
    path = tmp_path / f'c{suffix}'
    save_checkpoint_file(path, CONTENT)
    assert same(load_checkpoint_file(path), CONTENT)
    found = 0
    for changed in change(path.read_bytes()):
        path.write_bytes(changed)
        try:
            loaded = load_checkpoint_file(path)
        except ValueError as error:
            found += 1
            assert f'c{suffix}' in str(error) and 'damaged' in str(error)
            with pytest.raises(ValueError, match='damaged'):
                check_checkpoint_file(path)
        else:
            assert same(loaded, CONTENT)
            check_checkpoint_file(path)
    assert found >= 180  # the rest lies where nothing depends on it, such as a checksum's name


@pytest.mark.parametrize('change', [cuts, flips])
def test_damage_of_a_foreign_archive_is_found_out_or_changes_nothing(tmp_path, change):
    path = tmp_path / 'c.pth'
    torch.save(CONTENT, path)
    found = 0
    for changed in change(path.read_bytes()):
        path.write_bytes(changed)
        try:
            assert same(load_checkpoint_file(path), CONTENT)
        except ValueError:
            found += 1
    assert found >= 100  # a directory of an archive repeats much, and what lies between entries is not read


def test_other_programs_read_a_file_with_a_checksum(tmp_path):
    path, plain = tmp_path / 'c.pth', io.BytesIO()
    save_checkpoint_file(path, CONTENT)
    torch.save(CONTENT, plain)
    for options in ({}, {'mmap': True}):
        assert same(torch.load(path, weights_only=True, **options), CONTENT)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.decode() == f'lrformer sha256 {hashlib.sha256(plain.getvalue()).hexdigest()}'


def test_entries_without_crc_are_read(tmp_path):
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('this torch always writes them')
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(CONTENT, tmp_path / 'c.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(load_checkpoint_file(tmp_path / 'c.pth'), CONTENT)


def test_an_entry_that_is_marked_a_folder_is_refused(tmp_path):
    """torch would return uninitialised memory for it."""
    path = tmp_path / 'c.pth'
    torch.save(CONTENT, path)
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    content = bytearray(path.read_bytes())
    name = content.index(b'c/data/0', directory)
    content[name - 8] |= 0x10
    path.write_bytes(content)
    with pytest.raises(ValueError, match='c/data/0 is marked a folder'):
        load_checkpoint_file(path)


@pytest.mark.filterwarnings('ignore:.*torch.jit')
@pytest.mark.parametrize('with_checksum', [False, True])
def test_a_torchscript_program_is_refused(tmp_path, with_checksum):
    path = tmp_path / 'c.pth'
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    if with_checksum:
        add_checksum(path)
    with pytest.raises(ValueError, match='TorchScript program, which can run code'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('with_checksum', [False, True])
def test_a_tar_archive_is_refused(tmp_path, with_checksum):
    path = tmp_path / 'c.pth'
    with tarfile.open(path, 'w') as archive:
        archive.add(__file__, 'pickle')
    if with_checksum:
        add_checksum(path)
    with pytest.raises(ValueError, match='neither a zip archive nor a pickle'):
        load_checkpoint_file(path)


def add_checksum(path):
    """As anybody could."""
    content = path.read_bytes()[:-2]
    comment = b'lrformer sha256 ' + hashlib.sha256(content + b'\0\0').hexdigest().encode()
    path.write_bytes(content + struct.pack('<H', len(comment)) + comment)


def test_the_true_reason_of_a_failing_write_is_raised():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 1000:
                raise OSError(28, 'No space left on device')
            return super().write(data)

    with pytest.raises(OSError, match='No space left'):
        save_with_checksum({'a': torch.zeros(10000)}, Full())
