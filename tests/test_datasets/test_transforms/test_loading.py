import struct
import tempfile
import zlib

import cv2
import mmcv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import mmseg.datasets.transforms  # noqa: F401
from mmseg.datasets.transforms.loading import _to_classes
from mmseg.registry import TRANSFORMS
from mmseg.utils.image_file import is_cut_short

IMG = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 5, (20, 30), dtype=np.uint8)


def load_image(path, **kwargs):
    return TRANSFORMS.build(dict(type='LoadImageFromFile', **kwargs))(dict(img_path=str(path)))


def load_labels(path, results=None, **kwargs):
    results = dict(seg_map_path=str(path), img_path='street.jpg', **(results or {}))
    return TRANSFORMS.build(dict(type='LoadAnnotations', **kwargs))(results)


def save(path, array, mode=None):
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return path


# ---- images


def test_image_is_bgr_with_its_shapes(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IMG)
    results = load_image(tmp_path / 'a.png')
    np.testing.assert_array_equal(results['img'], IMG)
    assert results['img_shape'] == results['ori_shape'] == (20, 30)
    assert load_image(tmp_path / 'a.png', to_float32=True)['img'].dtype == np.float32


def test_grey_file_becomes_three_channels(tmp_path):
    assert load_image(save(tmp_path / 'a.png', LABELS))['img'].shape == (20, 30, 3)


@pytest.mark.parametrize('loader', ['LoadImageFromFile', 'LoadAnnotations'])
def test_unreadable_files_are_named(tmp_path, loader):
    def load(path):
        return load_image(path) if loader == 'LoadImageFromFile' else load_labels(path)

    missing, empty, text = (tmp_path / name for name in ('missing.png', 'empty.png', 'text.png'))
    empty.write_bytes(b'')
    text.write_text('not an image')
    with pytest.raises(FileNotFoundError, match=r'missing\.png.*does not exist.*suffix'):
        load(missing)
    with pytest.raises(ValueError, match=r'empty\.png.*0 bytes'):
        load(empty)
    with pytest.raises(ValueError, match=r'text\.png.*cannot be read'):
        load(text)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
def test_truncated_image_is_named(tmp_path, suffix, share):
    content = cv2.imencode(suffix, cv2.resize(IMG, (300, 200)))[1].tobytes()
    path = tmp_path / f'cut{suffix}'
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=rf'cut\{suffix}.*cannot be read'):
        load_image(path)
    assert load_image(path, ignore_empty=True) is None


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_truncation_is_seen_where_the_decoder_is_silent(tmp_path, monkeypatch, suffix):
    """OpenCV 4 returns a picture, grey at the bottom, for half a JPEG."""
    content = cv2.imencode(suffix, cv2.resize(IMG, (300, 200)))[1].tobytes()
    monkeypatch.setattr(mmcv, 'imfrombytes', lambda *args, **kwargs: IMG)
    path = tmp_path / f'a{suffix}'
    path.write_bytes(content)
    load_image(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match='truncated'):
        load_image(path)
    assert not is_cut_short(content + b'\xff\xda trailing bytes of a phone camera' * 9)


@pytest.mark.parametrize('order', [['LoadImageFromFile', 'LoadAnnotations'], ['LoadAnnotations', 'LoadImageFromFile']])
@pytest.mark.parametrize('turned', [False, True])
def test_a_photo_with_an_exif_turn_stays_with_its_annotation(tmp_path, order, turned):
    """Whether the annotation was drawn on the photo as stored or as shown."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    Image.fromarray(np.dstack([LABELS * 50] * 3)).save(tmp_path / 'a.png', exif=exif)
    labels = np.ascontiguousarray(np.rot90(LABELS, -1)) if turned else LABELS
    results = dict(img_path=str(tmp_path / 'a.png'), seg_map_path=str(save(tmp_path / 'labels.png', labels)))
    for name in order:
        results = TRANSFORMS.build(dict(type=name))(results)
    assert results['ori_shape'] == labels.shape
    np.testing.assert_array_equal(results['gt_seg_map'], labels)
    np.testing.assert_array_equal(results['img'][..., 0], labels * 50)


def test_an_annotation_of_neither_size_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(IMG).save(tmp_path / 'a.png', exif=exif)
    results = dict(img_path=str(tmp_path / 'a.png'), seg_map_path=str(save(tmp_path / 'labels.png', LABELS[1:])))
    results = TRANSFORMS.build(dict(type='LoadImageFromFile'))(results)
    with pytest.raises(ValueError, match=r'labels\.png.*19x30.*a\.png.*20x30'):
        TRANSFORMS.build(dict(type='LoadAnnotations'))(results)


def test_array_in_memory():
    results = TRANSFORMS.build(dict(type='LoadImageFromNDArray', to_float32=True))(dict(img=IMG))
    np.testing.assert_array_equal(results['img'], IMG)
    assert results['img'].dtype == np.float32
    assert results['img_path'] is None
    assert results['img_shape'] == results['ori_shape'] == (20, 30)


# ---- annotations: what is read


def test_labels_and_seg_fields(tmp_path):
    results = load_labels(save(tmp_path / 'a.png', LABELS), dict(seg_fields=[], ori_shape=(20, 30)))
    np.testing.assert_array_equal(results['gt_seg_map'], LABELS)
    assert results['gt_seg_map'].dtype == np.uint8
    assert results['seg_fields'] == ['gt_seg_map']


def test_palette_png_is_read_as_indices(tmp_path):
    image = Image.fromarray(LABELS).convert('P')
    image.putpalette(list(range(255, 255 - 15, -1)))
    image.putdata(LABELS.ravel().tolist())
    image.save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(load_labels(tmp_path / 'palette.png')['gt_seg_map'], LABELS)
    with pytest.raises(ValueError, match=r'palette\.png.*imdecode_backend='):
        load_labels(tmp_path / 'palette.png', imdecode_backend='cv2')


def test_one_bit_png(tmp_path):
    path = tmp_path / 'bits.png'
    Image.fromarray(LABELS > 2).save(path)
    np.testing.assert_array_equal(load_labels(path)['gt_seg_map'], (LABELS > 2).astype(np.uint8))


@given(
    labels=hnp.arrays(np.uint8, st.tuples(st.integers(1, 600), st.integers(1, 60)), fill=st.integers(0, 255)),
    kind=st.sampled_from(['grey', 'palette', 'sixteen', 'turned']),
)
@settings(max_examples=60)
def test_any_labels_come_back_as_they_were_saved(labels, kind):
    with tempfile.NamedTemporaryFile(suffix='.png') as file:
        image, options = Image.fromarray(labels), {}
        if kind == 'palette':
            image.putpalette(np.random.default_rng(0).permutation(768).astype(np.uint8).tobytes())
        elif kind == 'sixteen':
            image = Image.fromarray(labels.astype(np.uint16))
        elif kind == 'turned':
            options['exif'] = Image.Exif()
            options['exif'][0x0112] = 6
        image.save(file, 'PNG', **options)
        file.flush()
        np.testing.assert_array_equal(load_labels(file.name)['gt_seg_map'], labels)


@pytest.mark.parametrize('bits', [2, 4])
def test_grey_of_2_and_4_bits_is_refused(tmp_path, bits):
    """Decoders stretch it: a 1 comes out as 85 or 17."""
    cv2.imwrite(str(tmp_path / 'a.png'), LABELS)
    content = bytearray((tmp_path / 'a.png').read_bytes())
    rows = b''.join(b'\0' + bytes(row) for row in np.zeros((20, -(-30 * bits // 8)), np.uint8))
    content[24] = bits
    content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
    pixels = b'IDAT' + zlib.compress(rows)
    data = struct.pack('>I', len(pixels) - 4) + pixels + struct.pack('>I', zlib.crc32(pixels))
    end = b'\0\0\0\0IEND\xaeB`\x82'
    (tmp_path / 'a.png').write_bytes(bytes(content[:33]) + data + end)
    assert np.asarray(Image.open(tmp_path / 'a.png')).shape == (20, 30)
    with pytest.raises(ValueError, match=rf'a\.png.*{bits} bits per pixel.*with 8 bits'):
        load_labels(tmp_path / 'a.png')


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
def test_sixteen_bits_keep_their_values(tmp_path, backend):
    wide = LABELS.astype(np.uint16) * 700
    cv2.imwrite(str(tmp_path / 'wide.png'), wide)
    labels = load_labels(tmp_path / 'wide.png', imdecode_backend=backend)['gt_seg_map']
    np.testing.assert_array_equal(labels, wide)

    mapping = {value * 700: value for value in range(5)}
    labels = load_labels(tmp_path / 'wide.png', dict(label_map=mapping, num_classes=5))['gt_seg_map']
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.uint8


# ---- annotations: from file labels to classes

MAPS = st.none() | st.dictionaries(st.integers(0, 254), st.integers(0, 254) | st.sampled_from([-1, 255]))


@given(
    labels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)),
    wide=st.booleans(),
    reduce=st.booleans(),
    label_map=MAPS,
)
def test_mapping_is_the_pixelwise_rule(labels, wide, reduce, label_map):
    def rule(label):
        if reduce:
            label = {0: 255, 255: 255}.get(label, label - 1)
        new = (label_map or {}).get(label, label)
        return 255 if new < 0 else new

    given_labels = labels.astype(np.uint16) if wide else labels.copy()
    mapped = _to_classes(given_labels, 'a.png', reduce, dict(label_map=label_map))
    expected = np.array([rule(label) for label in labels.ravel().tolist()]).reshape(labels.shape)
    np.testing.assert_array_equal(mapped, expected)
    assert mapped.dtype == np.uint8
    assert (mapped[labels == 255] == 255).all()
    np.testing.assert_array_equal(given_labels, labels)


@given(
    labels=hnp.arrays(np.uint8, (4, 5)),
    reduce=st.booleans(),
    num_classes=st.integers(1, 255),
)
def test_range_check_agrees_with_a_plain_one(labels, reduce, num_classes):
    mapped = _to_classes(labels, 'a.png', reduce, {})
    outside = (mapped != 255) & (mapped >= num_classes)
    results = dict(num_classes=num_classes)
    if not outside.any():
        np.testing.assert_array_equal(_to_classes(labels, 'a.png', reduce, results), mapped)
        return
    with pytest.raises(ValueError, match=r'a\.png') as caught:
        _to_classes(labels, 'a.png', reduce, results)
    assert f'label(s) {np.unique(labels[outside])[0]}' in str(caught.value)


def test_label_map_does_not_chain_and_comes_after_reduce_zero_label(tmp_path):
    path = save(tmp_path / 'a.png', np.array([[0, 1, 2, 3, 255]], np.uint8))
    results = load_labels(path, dict(reduce_zero_label=True, label_map={0: 1, 1: 2, 2: 0}))
    assert results['gt_seg_map'].tolist() == [[255, 1, 2, 0, 255]]
    assert load_labels(path, reduce_zero_label=True)['gt_seg_map'].tolist() == [[255, 0, 1, 2, 255]]
    assert load_labels(path, dict(reduce_zero_label=False))['gt_seg_map'].tolist() == [[0, 1, 2, 3, 255]]


def test_reduce_zero_label_never_turns_a_label_of_16_bits_into_ignored(tmp_path):
    cv2.imwrite(str(tmp_path / 'wide.png'), np.array([[0, 1, 256]], np.uint16))
    with pytest.raises(ValueError, match=r'wide\.png.*label\(s\) 256'):
        load_labels(tmp_path / 'wide.png', dict(reduce_zero_label=True, num_classes=150))


def test_another_ignore_index(tmp_path):
    path = save(tmp_path / 'a.png', np.array([[0, 1, 20]], np.uint8))
    of_dataset = dict(ignore_index=20, num_classes=1, reduce_zero_label=True)
    assert load_labels(path, of_dataset)['gt_seg_map'].tolist() == [[20, 0, 20]]


def test_contradicting_reduce_zero_label(tmp_path):
    path = save(tmp_path / 'a.png', LABELS)
    with pytest.raises(ValueError, match='reduce_zero_label=True.*dataset False'):
        load_labels(path, dict(reduce_zero_label=False), reduce_zero_label=True)


# ---- annotations: bad input


def test_label_outside_the_classes(tmp_path):
    path = save(tmp_path / 'bad.png', np.array([[0, 1, 2, 200, 255]], np.uint8))
    with pytest.raises(ValueError) as caught:
        load_labels(path, dict(num_classes=2))
    message = str(caught.value)
    for part in (
        'bad.png',
        'label(s) 2, 200,',
        '2 classes',
        '0 to 1',
        '255',
        'reduce_zero_label=True',
        'label_map',
    ):
        assert part in message
    assert load_labels(path, dict(num_classes=201))['gt_seg_map'].max() == 255


def test_many_labels_outside_are_counted(tmp_path):
    path = save(tmp_path / 'bad.png', np.arange(100, dtype=np.uint8)[None])
    with pytest.raises(ValueError, match='2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more'):
        load_labels(path, dict(num_classes=2))


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colour_annotation(tmp_path, mode):
    path = save(tmp_path / 'colour.png', IMG, mode)
    with pytest.raises(ValueError, match=rf'colour\.png.*{len(mode)} channels'):
        load_labels(path)


def test_annotation_of_another_size(tmp_path):
    path = save(tmp_path / 'a.png', LABELS)
    with pytest.raises(ValueError, match=r'a\.png.*20x30.*street\.jpg.*20x31'):
        load_labels(path, dict(ori_shape=(20, 31)))


def test_fractional_annotation(tmp_path):
    path = save(tmp_path / 'a.tiff', LABELS.astype(np.float32))
    with pytest.raises(ValueError, match=r'a\.tiff.*float32'):
        load_labels(path)


def test_sample_without_annotation():
    with pytest.raises(ValueError, match=r'street\.jpg.*no annotation'):
        TRANSFORMS.build(dict(type='LoadAnnotations'))(dict(img_path='street.jpg'))


def test_repr():
    assert repr(TRANSFORMS.build(dict(type='LoadAnnotations', reduce_zero_label=True))) == (
        "LoadAnnotations(reduce_zero_label=True, imdecode_backend='pillow', backend_args=None)"
    )
    for name in ('LoadImageFromFile', 'LoadImageFromNDArray'):
        assert repr(TRANSFORMS.build(dict(type=name))) == (
            f"{name}(ignore_empty=False, to_float32=False, color_type='color', imdecode_backend='cv2', "
            'backend_args=None)'
        )


def test_unknown_argument():
    with pytest.raises(TypeError, match='with_bbox'):
        TRANSFORMS.build(dict(type='LoadAnnotations', with_bbox=True))
