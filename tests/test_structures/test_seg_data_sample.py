import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mmseg.structures import SegDataSample


@pytest.mark.parametrize(
    ('name', 'way'),
    [
        ('gt_sem_seg', 'LoadAnnotations'),
        ('pred_sem_seg', r'inference_model\(model, image\)'),
        ('seg_logits', r'scores=True.*return_scores=True'),
    ],
)
def test_what_is_absent_says_how_to_get_it(name, way):
    sample = SegDataSample(metainfo=dict(img_path='a.png'))
    with pytest.raises(AttributeError, match=f'this sample has no {name}: .*{way}'):
        getattr(sample, name)
    assert not hasattr(sample, name) and name not in sample and sample.get(name) is None

    setattr(sample, name, PixelData(data=torch.ones(1, 2, 3)))
    for same in (sample, copy.deepcopy(sample), pickle.loads(pickle.dumps(sample)), sample.clone(), sample.to('cpu')):
        assert name in same and getattr(same, name).shape == (2, 3)
    delattr(sample, name)
    with pytest.raises(AttributeError, match=f'no {name}'):
        getattr(sample, name)


def test_data_loaders_pin_its_tensors(monkeypatch):
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self + 1)  # of a GPU's driver
    label = PixelData(data=torch.zeros(1, 2, 3), other=np.zeros((2, 3)))
    sample = SegDataSample(metainfo=dict(img_path='a.png'), gt_sem_seg=label)
    pinned = torch.utils.data._utils.pin_memory.pin_memory([dict(data_samples=sample)])[0]['data_samples']
    assert pinned.gt_sem_seg.data.eq(1).all() and not pinned.gt_sem_seg.other.any() and pinned.img_path == 'a.png'
