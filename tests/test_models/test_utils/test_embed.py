import pytest
import torch

from mmseg.models.utils.embed import AdaptivePadding, PatchEmbed, PatchMerging


def test_patches_are_padded_to_whole_ones():
    for padding in ('same', 'corner'):
        assert AdaptivePadding(16, 16, 1, padding)(torch.rand(1, 1, 15, 17)).shape[2:] == (16, 32)
    with pytest.raises(AssertionError):
        AdaptivePadding(16, 16, 1, padding=1)


def test_patch_embed():
    embed = PatchEmbed(in_channels=3, embed_dims=10, conv_type=None, kernel_size=3, stride=1, padding=0)
    tokens, shape = embed(torch.rand(2, 3, 3, 4))
    assert tokens.shape == (2, 2, 10) and shape == (1, 2)
    assert PatchEmbed(kernel_size=4).projection.stride == (4, 4)
    embed = PatchEmbed(kernel_size=3, stride=2, padding=0, dilation=2, norm_cfg=dict(type='LN'), input_size=(10, 12))
    assert embed(torch.rand(1, 3, 10, 12))[1] == embed.init_out_size == (3, 4)


def test_patch_merging():
    merge = PatchMerging(in_channels=3, out_channels=4)
    tokens, shape = merge(torch.rand(2, 35, 3), (5, 7))
    assert tokens.shape == (2, 12, 4) and shape == (3, 4)
    with pytest.raises(AssertionError):
        merge(torch.rand(2, 34, 3), (5, 7))
