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
    ],
)
def test_contradictions_raise(cfg):
    with pytest.raises((TypeError, ValueError)):
        SegDataPreProcessor(**cfg)
