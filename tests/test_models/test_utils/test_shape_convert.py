import pytest
import torch

from mmseg.models.utils import nchw2nlc2nchw, nchw_to_nlc, nlc2nchw2nlc, nlc_to_nchw


def test_maps_to_tokens_and_back():
    x = torch.randn(4, 2, 5, 3)
    assert torch.equal(nlc_to_nchw(nchw_to_nlc(x), (5, 3)), x)
    with pytest.raises(AssertionError, match='14 tokens are no map of 5 x 3'):
        nlc_to_nchw(torch.randn(4, 14, 2), (5, 3))
    with pytest.raises(AssertionError, match='takes B x C x H x W maps'):
        nchw_to_nlc(torch.randn(4, 15, 2))


@pytest.mark.parametrize('contiguous', [False, True])
def test_a_module_sees_the_other_layout(contiguous):
    seen = []

    def module(x, arg):
        seen.append((tuple(x.shape), arg))
        assert x.is_contiguous() or not contiguous
        return x

    x = torch.randn(4, 2, 5, 3)
    out = nchw2nlc2nchw(module, x, contiguous, arg=1)
    assert torch.equal(out, x) and (out.is_contiguous() or not contiguous)
    tokens = nchw_to_nlc(x)
    out = nlc2nchw2nlc(module, tokens, (5, 3), contiguous, arg=2)
    assert torch.equal(out, tokens) and (out.is_contiguous() or not contiguous)
    assert seen == [((4, 15, 2), 1), ((4, 2, 5, 3), 2)]
