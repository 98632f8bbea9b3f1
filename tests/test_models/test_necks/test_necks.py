import pytest
import torch

from mmseg.models import FPN, Feature2Pyramid, MultiLevelNeck

CHANNELS = [4, 8, 16, 32]


def pyramid():
    return [torch.randn(1, c, side, side + 1) for c, side in zip(CHANNELS, (17, 9, 5, 3), strict=True)]


@pytest.mark.parametrize(
    ('cfg', 'sides'),
    [
        (dict(num_outs=4), [17, 9, 5, 3]),
        (dict(num_outs=5), [17, 9, 5, 3, 2]),
        (dict(num_outs=2, start_level=1, end_level=2), [9, 5]),
        (dict(num_outs=5, start_level=1, add_extra_convs=True), [9, 5, 3, 2, 1]),
        (dict(num_outs=5, start_level=1, add_extra_convs='on_input'), [9, 5, 3, 2, 1]),
        (dict(num_outs=5, start_level=1, add_extra_convs='on_lateral', relu_before_extra_convs=True), [9, 5, 3, 2, 1]),
    ],
)
def test_fpn(cfg, sides):
    neck = FPN(CHANNELS, 6, **cfg)
    outs = neck(pyramid())
    assert [x.shape[2] for x in outs] == sides
    assert [x.shape[1] for x in outs] == neck.out_channels == [6] * len(sides)


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(num_outs=3, start_level=1, end_level=2), 'num_outs=3 of 2 maps'),
        (dict(num_outs=2, start_level=1), 'num_outs=2 of 3 maps'),
        (dict(num_outs=2, start_level=1, end_level=4), 'end_level=4 of 4 maps'),
        (dict(num_outs=5, start_level=1, add_extra_convs='on_xxx'), "add_extra_convs='on_xxx' is not"),
    ],
)
def test_fpn_of_levels_that_are_not_there(cfg, message):
    with pytest.raises(AssertionError, match=message):
        FPN(CHANNELS, 6, **cfg)


def test_multilevel_neck():
    maps = [torch.randn(1, c, 7, 8) for c in CHANNELS]
    sizes = [tuple(x.shape[1:]) for x in MultiLevelNeck(CHANNELS, 6)(maps)]
    assert sizes == [(6, 3, 4), (6, 7, 8), (6, 14, 16), (6, 28, 32)]
    one = MultiLevelNeck([4], 6, scales=[1, 2])
    assert [x.shape[2] for x in one(maps[:1])] == [7, 14]
    with pytest.raises(AssertionError, match='2 maps for in_channels'):
        one(maps[:2])


@pytest.mark.parametrize(('rescales', 'sides'), [((4, 2, 1, 0.5), [32, 16, 8, 4]), ((2, 1, 0.5, 0.25), [16, 8, 4, 2])])
def test_feature2pyramid(rescales, sides):
    neck = Feature2Pyramid(4, rescales, norm_cfg=dict(type='BN'))
    assert [x.shape[2] for x in neck([torch.randn(1, 4, 8, 8)] * 4)] == sides


def test_feature2pyramid_of_another_factor():
    with pytest.raises(KeyError, match=r'\[16\] is none of 4, 2, 1, 0.5, 0.25'):
        Feature2Pyramid(4, (16, 4, 2, 1))
