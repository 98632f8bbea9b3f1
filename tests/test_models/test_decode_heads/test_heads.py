"""The parts of heads that the published outputs do not show."""

import pytest
import torch
from mmcv.cnn import DepthwiseSeparableConvModule
from torch import nn

from mmseg.models import (
    ASPPHead,
    DepthwiseSeparableASPPHead,
    DepthwiseSeparableFCNHead,
    FCNHead,
    FPNHead,
    LightHamHead,
    OCRHead,
    PSPHead,
    SegformerHead,
    UPerHead,
)
from mmseg.models.decode_heads.ham_head import NMF2D

ONE = dict(in_channels=8, channels=4, num_classes=5)


def test_fcn_of_no_convolutions_and_without_the_last():
    head = FCNHead(in_channels=8, channels=8, num_classes=5, num_convs=0, concat_input=False)
    assert isinstance(head.convs, nn.Identity) and not hasattr(head, 'conv_cat')
    assert FCNHead(**ONE).conv_cat.in_channels == 12
    with pytest.raises(AssertionError, match='num_convs=-1 must be at least 0'):
        FCNHead(**ONE, num_convs=-1)
    with pytest.raises(AssertionError, match='with num_convs=0, channels=4 must be in_channels=8'):
        FCNHead(**ONE, num_convs=0)


def test_separable_fcn():
    head = DepthwiseSeparableFCNHead(**ONE, norm_cfg=dict(type='BN')).eval()
    assert all(isinstance(conv, DepthwiseSeparableConvModule) for conv in (*head.convs, head.conv_cat))
    assert not head.convs[0].depthwise_conv.with_activation and head.convs[0].pointwise_conv.with_activation
    assert head([torch.randn(2, 8, 7, 9)]).shape == (2, 5, 7, 9)


def test_pools_and_dilations_are_those_asked_for():
    head = PSPHead(**ONE, pool_scales=(1, 2, 3))
    assert [pool[0].output_size for pool in head.psp_modules] == [1, 2, 3]
    head = ASPPHead(**ONE, dilations=(1, 12, 24))
    assert [module.conv.dilation[0] for module in head.aspp_modules] == [1, 12, 24]
    for wrong in (lambda: PSPHead(**ONE, pool_scales=1), lambda: ASPPHead(**ONE, dilations=1)):
        with pytest.raises(AssertionError, match='must be a list or tuple'):
            wrong()


def test_separable_aspp_with_and_without_the_finest_map():
    head = DepthwiseSeparableASPPHead(c1_in_channels=0, c1_channels=0, **ONE)
    assert head.c1_bottleneck is None and head([torch.randn(1, 8, 6, 7)]).shape == (1, 5, 6, 7)
    head = DepthwiseSeparableASPPHead(c1_in_channels=3, c1_channels=2, **ONE)
    assert head([torch.randn(1, 3, 23, 27), torch.randn(1, 8, 6, 7)]).shape == (1, 5, 23, 27)


@pytest.mark.parametrize('cls', [UPerHead, SegformerHead, LightHamHead])
def test_heads_of_several_maps(cls):
    cfg = dict(in_channels=[4, 6], in_index=[-2, -1], channels=8, num_classes=5)
    cfg |= dict(ham_channels=8, ham_kwargs=dict(MD_R=2)) if cls is LightHamHead else {}
    head = cls(**cfg).eval()
    assert head([torch.randn(1, 4, 9, 11), torch.randn(1, 6, 5, 6)]).shape == (1, 5, 9, 11)
    with pytest.raises(AssertionError, match='all be about one map, or all about several'):
        cls(**{**cfg, 'in_channels': 4})
    with pytest.raises(AssertionError, match='not one number for each of in_index'):
        cls(**{**cfg, 'in_channels': [4]})
    with pytest.raises(IndexError):
        cls(**{**cfg, 'in_index': [0, 2]})([torch.randn(1, 4, 9, 11), torch.randn(1, 6, 5, 6)])


def test_fpn_head_wants_the_finest_map_first():
    with pytest.raises(AssertionError, match='one a map, the finest first'):
        FPNHead(feature_strides=[8, 4], in_channels=[4, 4], in_index=[0, 1], channels=4, num_classes=5)


def test_matrix_decomposition_reconstructs_what_has_low_rank():
    torch.manual_seed(0)
    low_rank = torch.rand(2, 8, 3) @ torch.rand(2, 3, 48)
    errors = []
    for steps in (1, 300):
        found = NMF2D(MD_R=3, eval_steps=steps).eval()(low_rank.view(2, 8, 6, 8)).flatten(2)
        errors.append((found - low_rank).norm() / low_rank.norm())
    assert errors[1] < 0.1 < errors[0]
    kept = NMF2D(MD_R=3, rand_init=False).eval()
    assert torch.equal(kept(low_rank.view(2, 8, 6, 8)), kept(low_rank.view(2, 8, 6, 8)))


def test_ocr_gathers_regions_of_the_scores_before():
    head = OCRHead(**ONE, ocr_channels=6).eval()
    maps, scores = [torch.randn(2, 8, 7, 9)], torch.randn(2, 5, 7, 9)
    assert head(maps, scores).shape == (2, 5, 7, 9)
    assert not torch.equal(head(maps, scores), head(maps, -scores))
