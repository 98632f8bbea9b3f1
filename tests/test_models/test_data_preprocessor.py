import pytest
import torch
from mmengine.structures import PixelData

from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample


def batch(*sizes):
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.zeros(1, *size, dtype=torch.int64)), metainfo=dict(img_shape=size)
        )
        for size in sizes
    ]
    return dict(inputs=images, data_samples=samples)


def test_normalises_after_reversing_channels():
    preprocessor = SegDataPreProcessor(mean=[1, 2, 3], std=[2, 4, 8], bgr_to_rgb=True)
    data = batch((4, 4))
    image = data['inputs'][0].float()
    expected = torch.stack([(image[2] - 1) / 2, (image[1] - 2) / 4, (image[0] - 3) / 8])
    torch.testing.assert_close(preprocessor(data, training=True)['inputs'][0], expected)


def test_training_images_and_annotations_are_padded_alike():
    preprocessor = SegDataPreProcessor(mean=[1, 1, 1], std=[1, 1, 1], size=(8, 10), pad_val=0, seg_pad_val=255)
    out = preprocessor(batch((8, 10), (5, 7)), training=True)
    assert out['inputs'].shape == (2, 3, 8, 10)
    assert (out['inputs'][1, :, 5:] == 0).all() and (out['inputs'][1, :, :, 7:] == 0).all()
    label = out['data_samples'][1].gt_sem_seg.data
    assert label.shape == (1, 8, 10)
    assert (label[:, :5, :7] == 0).all() and (label == 255).sum() == 80 - 35
    assert out['data_samples'][1].metainfo['padding_size'] == [0, 3, 0, 3]


def test_test_images_keep_their_size():
    preprocessor = SegDataPreProcessor(size=(8, 8))
    assert [x.shape[1:] for x in preprocessor(batch((5, 7), (6, 6)))['inputs']] == [(5, 7), (6, 6)]
    out = SegDataPreProcessor(test_cfg=dict(size_divisor=4))(batch((5, 7)))
    assert out['inputs'].shape == (1, 3, 8, 8)
    assert out['data_samples'][0].gt_sem_seg.data.shape == (
        1,
        5,
        7,
    )  # the annotation is compared at its own size


def test_training_images_larger_than_size():
    with pytest.raises(ValueError, match='RandomCrop'):
        SegDataPreProcessor(size=(8, 8))(batch((8, 8), (9, 12)), training=True)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(bgr_to_rgb=True, rgb_to_bgr=True),
        dict(mean=[1, 1, 1]),
        dict(size=(8, 8), size_divisor=4),
        dict(test_cfg=dict(siz=1)),
        dict(mean=1.0, std=1.0),
        dict(mean=[1, 1, 1], std=[1, 0, 1]),
    ],
)
def test_contradictions_raise(cfg):
    with pytest.raises((TypeError, ValueError), match='SegDataPreProcessor'):
        SegDataPreProcessor(**cfg)


@pytest.mark.parametrize('channels', [3, 4, 7])
@pytest.mark.parametrize('key', ['bgr_to_rgb', 'rgb_to_bgr'])
def test_only_colours_are_reversed(channels, key):
    image = torch.arange(channels, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 2, 2)
    preprocessor = SegDataPreProcessor(mean=[1] * channels, std=[1] * channels, **{key: True})
    out = preprocessor(dict(inputs=[image, image]))['inputs'][1, :, 0, 0] + 1
    assert out.tolist() == [2, 1, 0, *range(3, channels)]


@pytest.mark.parametrize('channels', [1, 2])
def test_fewer_channels_have_no_colours_to_reverse(channels):
    with pytest.raises(ValueError, match=rf'the image has {channels} channel\(s\); set both to False'):
        SegDataPreProcessor(bgr_to_rgb=True)(dict(inputs=[torch.zeros(channels, 2, 2)]))


@pytest.mark.parametrize(('numbers', 'channels'), [(3, 1), (1, 3), (3, 4), (4, 3), (2, 1)])
def test_another_number_of_channels_is_refused_by_both_numbers(numbers, channels):
    preprocessor = SegDataPreProcessor(mean=[0] * numbers, std=[1] * numbers)
    for images in (torch.zeros(1, channels, 2, 2), [torch.zeros(channels, 2, 2), torch.zeros(channels, 3, 2)]):
        with pytest.raises(ValueError, match=rf'have {numbers} numbers, the image has {channels} channel'):
            preprocessor(dict(inputs=list(images)))
    with pytest.raises(ValueError, match='one number each'):
        SegDataPreProcessor(mean=[0, 0, 0], std=[1])


@pytest.mark.parametrize('convert', ['half', 'bfloat16', 'double'])
def test_images_are_normalised_in_float32_whatever_the_model_is(convert):
    data = batch((4, 4))
    preprocessor = SegDataPreProcessor(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    expected = preprocessor(data)['inputs']
    model = torch.nn.Sequential(preprocessor)
    out = getattr(model, convert)()[0](data)['inputs']
    assert out.dtype == torch.float32 and torch.equal(out, expected)
