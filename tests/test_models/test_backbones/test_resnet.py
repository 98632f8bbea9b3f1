import pytest
import torch
from torch import nn

from mmseg.models import ResNet
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.resnext import Bottleneck as GroupedBottleneck
from mmseg.models.backbones.resnext import ResNeXt
from mmseg.models.utils import ResLayer

CONTEXT = dict(type='ContextBlock', ratio=1 / 16)
DCN = dict(type='DCN', deform_groups=1, fallback_on_stride=False)


def test_styles_differ_in_where_they_halve():
    pytorch, caffe = (Bottleneck(16, 4, stride=2, style=style) for style in ('pytorch', 'caffe'))
    assert (pytorch.conv1.stride, pytorch.conv2.stride) == ((1, 1), (2, 2))
    assert (caffe.conv1.stride, caffe.conv2.stride) == ((2, 2), (1, 1))


def test_layers_of_blocks():
    layer = ResLayer(Bottleneck, 64, 16, 3)
    assert len(layer) == 3 and all(block.downsample is None for block in layer)
    layer = ResLayer(Bottleneck, 64, 64, 3, stride=2, avg_down=True)
    pool, conv, _ = layer[0].downsample
    assert isinstance(pool, nn.AvgPool2d) and (conv.out_channels, conv.stride) == (256, (1, 1))
    for cfg, dilations in (
        (dict(), [2, 2, 2]),
        (dict(contract_dilation=True), [1, 2, 2]),
        (dict(multi_grid=(1, 2, 4)), [1, 2, 4]),
    ):
        assert [block.conv2.dilation[0] for block in ResLayer(Bottleneck, 64, 16, 3, dilation=2, **cfg)] == dilations


def test_grouped_blocks_have_the_published_widths():
    block = GroupedBottleneck(64, 64, groups=32, base_width=4, stride=2)
    assert (block.conv2.groups, block.conv2.out_channels, block.conv2.stride) == (32, 128, (2, 2))
    with pytest.raises(KeyError, match='ResNeXt: depth=18 is none of 50, 101, 152'):
        ResNeXt(depth=18)


@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
def test_a_deformable_convolution_starts_as_a_plain_one(kind):
    torch.manual_seed(0)
    block = Bottleneck(16, 4, dcn=dict(DCN, type=kind))
    x = torch.randn(2, 4, 9, 11)
    plain = nn.functional.conv2d(x, block.conv2.weight, padding=1)
    assert torch.allclose(block.conv2(x), plain if kind == 'DCN' else plain / 2, atol=1e-6)  # a mask of sigmoid(0)
    assert type(Bottleneck(16, 4, stride=2, dcn=dict(DCN, fallback_on_stride=True)).conv2) is nn.Conv2d
    with pytest.raises(KeyError, match="dcn of type 'DCNv4' is not here; DCN and DCNv2 are"):
        Bottleneck(16, 4, dcn=dict(type='DCNv4'))


def test_plugins_stand_where_they_are_asked_for():
    plugins = [
        dict(cfg=dict(CONTEXT, postfix=1), stages=(False, True, True, False), position='after_conv3'),
        dict(cfg=dict(CONTEXT, postfix=2), stages=(False, True, True, False), position='after_conv2'),
        dict(cfg=dict(type='NonLocal2d'), position='after_conv2'),
    ]
    model = ResNet(50, plugins=plugins, base_channels=16)
    assert model.layer1[0].nonlocal_block.in_channels == 16 and not hasattr(model.layer1[0], 'context_block1')
    assert (model.layer2[0].context_block1.in_channels, model.layer2[0].context_block2.in_channels) == (128, 32)
    assert model(torch.randn(1, 3, 64, 64))[0].shape == (1, 64, 16, 16)


def test_residual_branches_may_start_at_zero():
    for zero in (True, False):
        model = ResNet(18, base_channels=4, zero_init_residual=zero)
        model.init_weights()
        assert (model.layer1[0].norm2.weight == 0).all() == zero


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: BasicBlock(8, 8, dcn=DCN), 'dcn is for Bottleneck'),
        (lambda: BasicBlock(8, 8, plugins=[]), 'plugins are for Bottleneck'),
        (lambda: Bottleneck(8, 8, style='tensorflow'), "style='tensorflow' is not 'pytorch' or 'caffe'"),
        (lambda: Bottleneck(8, 8, dcn=DCN, conv_cfg=dict(type='Conv')), 'exclude each other'),
        (lambda: Bottleneck(8, 8, plugins=[dict(cfg=CONTEXT, position='after_conv4')]), "'after_conv4' is none of"),
        (lambda: Bottleneck(8, 8, plugins=[dict(cfg=CONTEXT, position='after_conv3')] * 2), 'two plugins are called'),
        (lambda: ResNet(50, num_stages=5), 'num_stages=5 is not 1 to 4'),
        (lambda: ResNet(50, num_stages=3), 'for each of 3 stages'),
        (lambda: ResNet(50, dcn=DCN, stage_with_dcn=(True,)), 'a flag for each of 4 stages'),
        (
            lambda: ResNet(50, plugins=[dict(cfg=CONTEXT, stages=(True,), position='after_conv3')]),
            'a flag for each of 4 stages',
        ),
    ],
)
def test_what_does_not_go_together_is_said(build, message):
    with pytest.raises(AssertionError, match=message):
        build()


def test_unknown_depths_and_keys():
    with pytest.raises(KeyError, match='depth=20 is none of 18, 34, 50, 101, 152'):
        ResNet(20)
    with pytest.raises(TypeError, match='dilation'):
        ResNet(18, dilation=2)
