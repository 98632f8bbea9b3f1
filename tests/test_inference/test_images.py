"""Images of every kind are taken as their file would be; anything else is refused in one line."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from mmseg.datasets.transforms import LoadImageFromFile
from mmseg.inference.images import as_picture, file_or_array
from mmseg.utils.image_file import read_image

COLOR, GREY, AS_IT_IS = (LoadImageFromFile(color_type=kind) for kind in ('color', 'grayscale', 'unchanged'))
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def same(image, expected=IMAGE, loader=COLOR):
    result = file_or_array(image, loader)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def test_arrays_and_tensors_of_one_image_are_one_image():
    tensor = torch.from_numpy(IMAGE)
    for form in (IMAGE, IMAGE.astype(np.int64), IMAGE.astype(np.float64), IMAGE.astype(np.uint16) * 256 + 7):
        same(form)
    same(IMAGE[:, ::-1][:, ::-1])
    for form in (tensor, tensor.permute(2, 0, 1), tensor.permute(2, 0, 1).float() / 255, tensor.double()):
        same(form)
    same((tensor / 255).requires_grad_())
    same(IMAGE / 255)
    same(torch.full((3, 8, 9), 7, dtype=torch.bfloat16), np.full((8, 9, 3), 7))


def test_grey_becomes_three_channels_and_back():
    grey, three = IMAGE[..., 0], np.dstack([IMAGE[..., 0]] * 3)
    for form in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        same(form, three)
        same(form, grey, GREY)
    same(three, grey, GREY)
    same(grey > 99, np.dstack([(grey > 99) * 255] * 3))


@pytest.mark.parametrize('mode', ['RGB', 'L', '1', 'LA', 'P', 'RGBA', 'CMYK', 'YCbCr', 'I;16'])
@pytest.mark.parametrize('loader', [COLOR, GREY, LoadImageFromFile(imdecode_backend='pillow')])
def test_a_pil_image_is_read_as_its_file(tmp_path, mode, loader):
    picture = PIL.Image.fromarray(IMAGE[..., ::-1])
    if mode == 'I;16':
        picture = PIL.Image.fromarray(IMAGE[..., 0].astype(np.uint16) * 200)
    elif mode != 'RGB':
        picture = picture.convert(mode)
    lossless = picture if mode not in ('CMYK', 'YCbCr') else picture.convert('RGB')
    lossless.save(tmp_path / 'a.png')
    if mode == 'I;16' and loader.imdecode_backend == 'pillow':
        with pytest.raises(ValueError, match='more than 8 bits'):
            file_or_array(picture, loader)
        return
    same(picture, loader(dict(img_path=str(tmp_path / 'a.png')))['img'], loader)


def test_a_pil_photo_is_turned_as_its_file(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    PIL.Image.fromarray(IMAGE).save(content, 'JPEG', exif=exif)
    (tmp_path / 'a.jpg').write_bytes(content.getvalue())
    photo = PIL.Image.open(tmp_path / 'a.jpg')
    same(photo, read_image(tmp_path / 'a.jpg'))
    assert file_or_array(photo, COLOR).shape == (30, 20, 3)


def test_unchanged_takes_any_channels():
    for channels in (2, 4, 7):
        image = np.zeros((20, 30, channels), np.uint16)
        assert file_or_array(image, AS_IT_IS) is image
        tensor = torch.zeros((20, 30, channels), dtype=torch.uint8)
        for form in (tensor, tensor.permute(2, 0, 1)):
            assert file_or_array(form, AS_IT_IS).shape == (20, 30, channels)


REFUSED = {
    'None': (None, TypeError, 'not an image: None; expected a file name'),
    'number': (7, TypeError, 'not an image: 7;'),
    'list': ([IMAGE], TypeError, 'list of 1'),
    'bytes': (b'\xff\xd8', TypeError, 'bytes of 2'),
    'objects': (np.array([None]), TypeError, r'object array of shape \(1,\)'),
    'text': (np.array(['a']), TypeError, 'array of shape'),
    'complex': (IMAGE * 1j, TypeError, 'complex128 array'),
    'several': (np.stack([IMAGE] * 2), ValueError, r'\(2, 20, 30, 3\).*H x W x 3.*list\(array\)'),
    'several tensors': (torch.zeros(2, 3, 20, 30), ValueError, r'float32 tensor of shape \(2, 3, 20, 30\)'),
    'four channels': (np.zeros((20, 30, 4), np.uint8), ValueError, r"\(20, 30, 4\).*color_type='unchanged'"),
    'two channels': (np.zeros((20, 30, 2), np.uint8), ValueError, r'\(20, 30, 2\); expected'),
    'channels first': (np.zeros((3, 20, 30), np.uint8), ValueError, r'transpose\(1, 2, 0\)'),
    'a row': (np.zeros(9, np.uint8), ValueError, r'\(9,\)'),
    'a point': (np.float32(3), TypeError, 'float32'),
    'no rows': (IMAGE[:0], ValueError, r'\(0, 30, 3\)'),
    'no channels': (IMAGE[..., :0], ValueError, r'\(20, 30, 0\)'),
    'nothing': (torch.zeros(0), ValueError, r'\(0,\)'),
    'too high': (IMAGE * 2.0, ValueError, 'values from 0 to 5'),
    'too high, whole': (IMAGE.astype(int) + 1, ValueError, 'values from .* to 256'),
    'below 0': (IMAGE.astype(np.float32) - 1, ValueError, 'values from -1'),
    'NaN': (np.full((20, 30, 3), np.nan), ValueError, 'NaN'),
    'infinite': (torch.full((3, 20, 30), torch.inf), ValueError, 'infinite'),
    'PIL of floats': (PIL.Image.new('F', (9, 9)), ValueError, 'PIL image of mode F, 9 x 9'),
    'empty PIL': (PIL.Image.new('RGB', (0, 9)), ValueError, '9 x 0'),
    'sparse': (torch.zeros(3, 20, 30).to_sparse(), TypeError, 'without values in memory'),
    'meta': (torch.zeros(3, 20, 30, device='meta'), TypeError, 'without values in memory'),
    'no name': ('', FileNotFoundError, "image ''"),
    'missing': ('nowhere.jpg', FileNotFoundError, "image 'nowhere.jpg' cannot be opened: No such file"),
    'long': ('x' * 5000, FileNotFoundError, r'5000 characters\) cannot be opened'),
    'null': ('a\0b', FileNotFoundError, 'cannot be opened'),
}


@pytest.mark.parametrize(('image', 'error', 'message'), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings('ignore')
def test_anything_else_is_refused_in_one_line(image, error, message):
    with pytest.raises(error, match=message) as caught:
        file_or_array(image, COLOR)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 300


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match='is a folder'):
        file_or_array(tmp_path, COLOR)


def test_any_image_can_be_drawn_on():
    wide = IMAGE.astype(np.uint16) << 8
    for array, expected in (
        (IMAGE, IMAGE),
        (IMAGE[..., 0], np.dstack([IMAGE[..., 0]] * 3)),
        (np.dstack([IMAGE, IMAGE]), IMAGE),
        (wide, IMAGE),
        (IMAGE.astype(np.float32), IMAGE),
        (IMAGE[..., :2], np.dstack([IMAGE[..., 0]] * 3)),
    ):
        np.testing.assert_array_equal(as_picture(array), expected)
    assert cv2.imencode('.png', as_picture(IMAGE[..., ::-1]))[0]
