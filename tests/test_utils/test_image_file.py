"""Image files of every kind that strangers send."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmseg.utils.image_file import UnreadableFileError, read_header, read_image, turn_upright

BACKENDS = ('cv2', 'pillow')


@pytest.fixture(scope='module')
def rgb():
    """Smooth, so that lossy formats keep it."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(noise, (60, 40), interpolation=cv2.INTER_LINEAR)


def save(path, array, kind=None, **options):
    Image.fromarray(array).save(path, kind, **options)
    return path


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def assert_shows(path, rgb, atol=0, **options):
    np.testing.assert_allclose(read_image(path, **options)[..., ::-1].astype(int), rgb.astype(int), atol=atol)


# ---- pixels


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    ('suffix', 'options', 'atol'),
    [
        ('png', {}, 0),
        ('bmp', {}, 0),
        ('tiff', {}, 0),
        ('webp', dict(lossless=True), 0),
        ('ppm', {}, 0),
        ('jpg', dict(quality=100, subsampling=0), 3),
        ('jpg', dict(quality=100, subsampling=0, progressive=True), 3),
    ],
)
def test_formats(tmp_path, rgb, backend, suffix, options, atol):
    assert_shows(save(tmp_path / f'a.{suffix}', rgb, **options), rgb, atol, backend=backend)


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'GIF', 'PPM'])
def test_header_is_known_before_pixels(rgb, kind):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind)
    header = read_header(file.getvalue(), 'a', 'image')
    assert (header.format, header.size) == (kind, (40, 60)) and header.mode in ('RGB', 'P')


@pytest.mark.parametrize('backend', BACKENDS)
def test_grey_palette_and_one_bit_become_three_channels(tmp_path, rgb, backend):
    grey = rgb[..., 0]
    assert_shows(save(tmp_path / 'grey.png', grey), np.dstack([grey] * 3), backend=backend)
    assert_shows(save(tmp_path / 'bits.png', grey > 99), np.dstack([(grey > 99) * 255] * 3), backend=backend)
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / 'palette.png')
    assert_shows(tmp_path / 'palette.png', np.asarray(palette.convert('RGB')), backend=backend)
    palette.save(tmp_path / 'clear.png', transparency=3)
    assert_shows(tmp_path / 'clear.png', np.asarray(palette.convert('RGB')), backend=backend)


@pytest.mark.parametrize('backend', BACKENDS)
def test_alpha_is_dropped_whatever_it_hides(tmp_path, rgb, backend):
    clear = np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)])
    assert_shows(save(tmp_path / 'a.png', clear), rgb, backend=backend)


@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bits_become_the_upper_eight(tmp_path, rgb, channels):
    wide = rgb[..., :channels].astype(np.uint16) * 256 + 200
    cv2.imwrite(str(tmp_path / 'a.png'), wide[..., ::-1])
    assert_shows(tmp_path / 'a.png', np.broadcast_to(rgb[..., :channels], rgb.shape))
    if channels == 1:  # Pillow would turn all above 255 white
        with pytest.raises(UnreadableFileError, match=r"a\.png' has more than 8 bits.*'cv2'"):
            read_image(tmp_path / 'a.png', backend='pillow')
    assert read_image(tmp_path / 'a.png', color_type='unchanged').dtype == np.uint16


@pytest.mark.parametrize('backend', BACKENDS)
def test_cmyk_jpeg(tmp_path, rgb, backend):
    Image.fromarray(rgb).convert('CMYK').save(tmp_path / 'a.jpg', quality=100, subsampling=0)
    assert_shows(tmp_path / 'a.jpg', rgb, 4, backend=backend)


# ---- turned photos


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turn_is_what_pillow_makes_of_it(rgb, orientation):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, 'PNG', exif=exif(orientation))
    expected = ImageOps.exif_transpose(Image.open(file))
    np.testing.assert_array_equal(turn_upright(rgb, orientation), expected)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_size_of_the_annotation_decides_about_a_turn(tmp_path, rgb, orientation, backend):
    photo = save(tmp_path / 'a.png', rgb, exif=exif(orientation))
    shown = turn_upright(rgb, orientation)
    as_stored = save(tmp_path / 'stored.png', rgb[..., 0])
    as_shown = save(tmp_path / 'shown.png', shown[..., 0])
    neither = save(tmp_path / 'neither.png', rgb[1:, :, 0])
    assert_shows(photo, shown, backend=backend)  # without annotation: as viewers do
    assert_shows(photo, rgb, seg_map_path=as_stored, backend=backend)
    assert_shows(photo, shown if orientation >= 5 else rgb, seg_map_path=as_shown, backend=backend)
    assert_shows(photo, rgb, seg_map_path=neither, backend=backend)
    assert_shows(photo, rgb, seg_map_path=tmp_path / 'missing.png', backend=backend)
    for asked in ('unchanged', 'color_ignore_orientation'):
        assert_shows(photo, rgb, color_type=asked, backend=backend)


def test_a_square_photo_with_annotation_stays_as_stored(tmp_path, rgb):
    square = np.ascontiguousarray(rgb[:40, :40])
    photo = save(tmp_path / 'a.jpg', square, quality=100, subsampling=0, exif=exif(6))
    assert_shows(photo, square, 3, seg_map_path=save(tmp_path / 'a.png', square[..., 0]))


def test_nonsense_in_exif_is_no_turn(tmp_path, rgb):
    assert_shows(save(tmp_path / 'a.png', rgb, exif=exif(77)), rgb)


# ---- names


@pytest.mark.parametrize(
    'name', ['a b.png', 'straße_日本_é.png', "it's [1] {2} %20.png", 'x' * 200 + '.png', '-rf.png']
)
def test_names(tmp_path, rgb, name):
    assert_shows(save(tmp_path / name, rgb), rgb)


def test_a_name_that_is_no_text(tmp_path, rgb):
    path = os.path.join(os.fsencode(tmp_path), b'\xff.png')
    try:
        with open(path, 'wb') as file:
            file.write(save(tmp_path / 'a.png', rgb).read_bytes())
    except OSError:
        pytest.skip('the file system takes text only')
    assert_shows(os.fsdecode(path), rgb)


def test_links(tmp_path, rgb):
    (tmp_path / 'link.png').symlink_to(save(tmp_path / 'a.png', rgb))
    assert_shows(tmp_path / 'link.png', rgb)
    (tmp_path / 'broken.png').symlink_to(tmp_path / 'nowhere.png')
    with pytest.raises(FileNotFoundError, match=r'broken\.png'):
        read_image(tmp_path / 'broken.png')


# ---- refused


def png(width, height, extra=b''):
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header)) + extra


def jpeg(width, height):
    file = io.BytesIO()
    Image.new('RGB', (8, 8)).save(file, 'JPEG')
    content = bytearray(file.getvalue())
    start = content.index(b'\xff\xc0') + 5
    content[start : start + 4] = struct.pack('>HH', height, width)
    return bytes(content)


def tiff(width, height):
    """Of five channels of 32 bits, which Pillow cannot open."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 4, 1, 32), (277, 4, 1, 5)]
    body = b''.join(struct.pack('<HHII', *entry) for entry in entries)
    return b'II*\0' + struct.pack('<I', 8) + struct.pack('<H', len(entries)) + body + bytes(4)


def bmp(width, height):
    head = b'BM' + struct.pack('<IHHI', 54, 0, 0, 54)
    return head + struct.pack('<IiiHHIIiiII', 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('make', [png, jpeg, tiff, bmp])
def test_absurd_sizes_are_refused_before_decoding(tmp_path, backend, make, monkeypatch):
    def decode(*args, **kwargs):
        raise AssertionError('decoded')

    monkeypatch.setattr('mmcv.imfrombytes', decode)
    (tmp_path / 'bomb.png').write_bytes(make(60000, 60000))
    with pytest.raises(UnreadableFileError, match=r"bomb\.png'.* promises more than 178,956,970 pixels") as caught:
        read_image(tmp_path / 'bomb.png', backend=backend)
    assert caught.value.kind == 'too-large'


def test_the_limit_is_pillows(tmp_path, rgb, monkeypatch):
    path = save(tmp_path / 'a.png', rgb)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', rgb.shape[0] * rgb.shape[1] // 2 - 1)
    with pytest.raises(UnreadableFileError, match='promises more'):
        read_image(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    assert_shows(path, rgb)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    ('content', 'kind'),
    [
        (b'', 'empty'),
        (b'<html>', 'unreadable'),
        (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'unreadable'),
        (b'\x89PNG', 'unreadable'),
        (png(9, 9), 'damaged'),
        (png(0, 9), 'damaged'),
        (b'\xff\xd8\xff\xe0', 'unreadable'),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path, backend, content, kind):
    (tmp_path / 'a b.png').write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"image '.*a b\.png'") as caught:
        read_image(tmp_path / 'a b.png', backend=backend)
    assert caught.value.kind == kind


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'bmp', 'gif'])
def test_any_truncation_is_refused_or_complete(tmp_path, rgb, backend, suffix):
    path = save(tmp_path / f'a.{suffix}', rgb)
    content, whole = path.read_bytes(), read_image(path, backend=backend)
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        try:
            img = read_image(path, backend=backend)
        except UnreadableFileError as error:
            assert str(path) in str(error)
        else:
            np.testing.assert_array_equal(img, whole)


def test_an_address_that_does_not_answer_is_named(monkeypatch):
    def get(path, backend_args=None):
        raise OSError('<urlopen error [Errno 111] Connection refused>')

    monkeypatch.setattr('mmseg.utils.image_file.fileio.get', get)
    with pytest.raises(OSError, match="image 'http://host/a.jpg' cannot be read: .*Connection refused"):
        read_image('http://host/a.jpg')
