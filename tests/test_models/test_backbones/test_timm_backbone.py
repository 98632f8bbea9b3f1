import copy
import pickle

import pytest
import timm
import torch
from torch import nn

from mmseg.models import TIMMBackbone
from mmseg.registry import MODELS


def test_any_timm_model_gives_its_maps_and_their_channels():
    model = TIMMBackbone('resnet18', pretrained=False, output_stride=8, norm_layer='BN2d').eval()
    maps = model(torch.randn(1, 3, 64, 64))
    assert [tuple(x.shape[1:]) for x in maps] == [(64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 8, 8), (512, 8, 8)]
    assert model.out_channels == [64, 64, 128, 256, 512]
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    pickle.dumps(copy.deepcopy(model))


def test_building_fetches_nothing_and_init_weights_loads(monkeypatch):
    asked = []
    create = timm.create_model

    def offline(*args, pretrained=False, **kwargs):
        asked.append(pretrained)
        return create(*args, pretrained=False, **kwargs)

    monkeypatch.setattr(timm, 'create_model', offline)
    model = TIMMBackbone('resnet18', in_channels=4)
    assert asked == [False]
    before = model.timm_model.conv1.weight.clone()
    model.init_weights()
    assert asked == [False, True] and not torch.equal(before, model.timm_model.conv1.weight)


def test_a_head_takes_its_channels_from_it():
    segmentor = MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='TIMMBackbone', model_name='resnet18', pretrained=False, out_indices=(1, 2, 3, 4)),
            decode_head=dict(
                type='UPerHead', channels=8, num_classes=3, in_index=[0, 1, 2, 3], norm_cfg=dict(type='BN')
            ),
        )
    ).eval()
    assert segmentor(torch.randn(1, 3, 64, 64), mode='tensor').shape == (1, 3, 16, 16)


def test_pretrained_is_yes_or_no():
    with pytest.raises(TypeError, match="pretrained='yes' must be True or False"):
        TIMMBackbone('resnet18', pretrained='yes')
