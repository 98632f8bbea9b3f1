"""Images that are arrays."""

import io

import numpy as np
import pytest

from mmseg.datasets.transforms.loading import load_label_map
from mmseg.utils.array_file import as_image, image_shape
from mmseg.utils.image_file import UnreadableFileError, read_header, read_image


@pytest.mark.parametrize(
    ('shape', 'image'),
    [
        ((4, 5), (4, 5)), ((4, 5, 3), (4, 5, 3)), ((3, 40, 50), (40, 50, 3)), ((40, 50, 13), (40, 50, 13)),
        ((1, 40, 50), (40, 50, 1)), ((1, 1, 6, 40, 50), (40, 50, 6)),
    ],
)  # fmt: skip
def test_axes(shape, image):
    assert image_shape(shape) == image
    assert as_image(np.zeros(shape)).shape == image


def test_what_is_no_image():
    for shape in ((7,), (2, 3, 4, 5), (0, 4)):
        with pytest.raises(ValueError, match='is no image'):
            image_shape(shape)


@pytest.mark.parametrize(
    ('given', 'loaded'), [('uint8', 'uint8'), ('>u2', 'uint16'), ('float64', 'float32'), ('int64', 'float32')]
)
def test_types_that_can_be_resized(given, loaded):
    array = np.arange(12).reshape(3, 4).astype(given)
    assert as_image(array).dtype == loaded
    assert np.array_equal(as_image(array), array)


def test_npy_colours_are_red_green_blue(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    np.save(tmp_path / 'a.npy', pixels)
    assert np.array_equal(read_image(tmp_path / 'a.npy'), pixels[..., ::-1])
    assert np.array_equal(read_image(tmp_path / 'a.npy', color_type='unchanged'), pixels)
    np.save(tmp_path / 'b.npy', np.zeros((5, 6, 7)))
    with pytest.raises(ValueError, match=r"5 channel\(s\) of float32|color_type='unchanged'"):
        read_image(tmp_path / 'b.npy')


def test_npy_files_that_are_cut_or_hold_objects(tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros((30, 40)))
    (tmp_path / 'a.npy').write_bytes(file.getvalue()[:-1])
    with pytest.raises(UnreadableFileError, match='the end is missing'):
        read_image(tmp_path / 'a.npy')
    np.save(tmp_path / 'b.npy', np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFileError, match='Python objects'):
        read_image(tmp_path / 'b.npy')


def test_npy_label_maps(tmp_path):
    labels = np.random.default_rng(0).integers(0, 5, (1, 6, 7))
    np.save(tmp_path / 'a.npy', labels)
    assert np.array_equal(load_label_map(tmp_path / 'a.npy'), labels[0])
    assert read_header((tmp_path / 'a.npy').read_bytes(), 'a.npy', 'annotation').size == (6, 7)
    np.save(tmp_path / 'b.npy', labels[0] + 0.5)
    with pytest.raises(ValueError, match='float64 values'):
        load_label_map(tmp_path / 'b.npy')


def test_tiffs_of_any_order_of_axes(tmp_path):
    tifffile = pytest.importorskip('tifffile', reason='TIFFs of many bands need tifffile')
    bands = np.random.default_rng(0).integers(0, 60000, (20, 30, 6), dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', bands)
    tifffile.imwrite(tmp_path / 'b.tif', np.moveaxis(bands, -1, 0), photometric='minisblack', planarconfig='separate')
    tifffile.imwrite(tmp_path / 'c.tif', np.moveaxis(bands, -1, 0), byteorder='>')
    for name in 'abc':
        image = read_image(tmp_path / f'{name}.tif', color_type='unchanged', backend='tifffile')
        assert np.array_equal(image, bands) and image.dtype == np.uint16
    content = (tmp_path / 'a.tif').read_bytes()
    (tmp_path / 'cut.tif').write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableFileError, match='cut.tif'):
        read_image(tmp_path / 'cut.tif', color_type='unchanged', backend='tifffile')
