import numpy as np
import pytest
import torch

import mmseg.datasets.transforms  # noqa: F401
from mmseg.registry import TRANSFORMS


def pack(results, **kwargs):
    return TRANSFORMS.build(dict(type='PackSegInputs', **kwargs))(results)


def sample():
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        gt_seg_map=rng.integers(0, 256, (4, 6), dtype=np.uint8),
        img_path='a.jpg',
        ori_shape=(4, 6),
        flip=True,
        secret=1,
    )


@pytest.mark.parametrize('flipped', [False, True])
def test_inputs_and_annotation(flipped):
    results = sample()
    if flipped:  # a view with negative strides, as mmcv's flip leaves it
        results['img'], results['gt_seg_map'] = results['img'][:, ::-1], results['gt_seg_map'][:, ::-1]
    packed = pack(results)
    inputs, data_sample = packed['inputs'], packed['data_samples']
    assert inputs.dtype == torch.uint8 and inputs.is_contiguous()
    np.testing.assert_array_equal(inputs.numpy(), results['img'].transpose(2, 0, 1))
    assert data_sample.gt_sem_seg.data.dtype == torch.int64
    np.testing.assert_array_equal(data_sample.gt_sem_seg.data.numpy(), results['gt_seg_map'][None])


def test_wide_labels_keep_their_values():
    results = sample()
    results['gt_seg_map'] = np.full((4, 6), 40000, np.uint16)
    assert (pack(results)['data_samples'].gt_sem_seg.data == 40000).all()


def test_meta_information_is_what_exists_of_the_keys():
    assert pack(sample())['data_samples'].metainfo == dict(img_path='a.jpg', ori_shape=(4, 6), flip=True)
    assert pack(sample(), meta_keys=('secret',))['data_samples'].metainfo == dict(secret=1)


def test_without_annotation():
    results = sample()
    del results['gt_seg_map']
    assert 'gt_sem_seg' not in pack(results)['data_samples']


def test_grey_image_gets_a_channel():
    results = sample()
    results['img'] = results['img'][..., 0]
    assert pack(results)['inputs'].shape == (1, 4, 6)


def test_bad_arguments_and_annotations():
    with pytest.raises(ValueError, match='meta_keys'):
        pack(sample(), meta_keys='img_path')
    results = sample()
    results['gt_seg_map'] = results['img']
    with pytest.raises(ValueError, match=r"'a\.jpg'.*\(4, 6, 3\)"):
        pack(results)


def test_repr():
    transform = TRANSFORMS.build(dict(type='PackSegInputs', meta_keys=('flip', 'ori_shape')))
    assert repr(transform) == "PackSegInputs(meta_keys=('flip', 'ori_shape'))"
