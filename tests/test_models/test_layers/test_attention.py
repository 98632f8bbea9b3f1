import math

import pytest
import torch

from mmseg.models.layers import MSDeformAttention, MultiheadAttention, ms_deform_attn, sine_positional_encoding

SHAPES = [(2, 3), (5, 4), (1, 7)]


def deformable_inputs(dtype=torch.float64, B=2, N=5, M=2, D=3, K=2, shapes=SHAPES):
    torch.manual_seed(0)
    S = sum(height * width for height, width in shapes)
    value = torch.randn(B, S, M, D, dtype=dtype)
    points = torch.rand(B, N, M, len(shapes), K, 2, dtype=dtype) * 1.6 - 0.3  # some outside
    weights = torch.randn(B, N, M, len(shapes), K, dtype=dtype)
    return value, points, weights


def by_loops(value, shapes, points, weights):
    """The definition, one sample after the other."""
    B, _, M, D = value.shape
    N, K = points.shape[1], points.shape[4]
    out = value.new_zeros(B, N, M, D)
    for b, n, m in [(b, n, m) for b in range(B) for n in range(N) for m in range(M)]:
        start = 0
        for level, (height, width) in enumerate(shapes):
            for k in range(K):
                x, y = (points[b, n, m, level, k] * points.new_tensor([width, height]) - 0.5).tolist()
                for row in (math.floor(y), math.floor(y) + 1):
                    for column in (math.floor(x), math.floor(x) + 1):
                        if 0 <= row < height and 0 <= column < width:
                            near = (1 - abs(x - column)) * (1 - abs(y - row))
                            cell = value[b, start + row * width + column, m]
                            out[b, n, m] += weights[b, n, m, level, k] * near * cell
            start += height * width
    return out


class TestDeformableAttention:
    @pytest.mark.parametrize('shapes', [SHAPES, [(3, 3)], [(4, 2), (1, 1)]])
    @pytest.mark.parametrize('K', [1, 4])
    def test_it_is_what_plain_loops_give(self, shapes, K):
        value, points, weights = deformable_inputs(shapes=shapes, K=K)
        expected = by_loops(value, shapes, points, weights)
        torch.testing.assert_close(ms_deform_attn(value, shapes, points, weights), expected, rtol=0, atol=1e-12)

    def test_gradients(self):
        value, points, weights = (x.requires_grad_() for x in deformable_inputs(B=1, N=2, K=1, shapes=[(2, 3), (3, 2)]))
        assert torch.autograd.gradcheck(
            lambda *x: ms_deform_attn(x[0], [(2, 3), (3, 2)], *x[1:]), (value, points, weights)
        )

    @pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype):
        """Values and weights are rounded before and the result after, the positions never."""
        value, points, weights = deformable_inputs()
        value, weights = value.to(dtype), weights.to(dtype)
        expected = by_loops(value.double(), SHAPES, points, weights.double())
        out = ms_deform_attn(value, SHAPES, points, weights)
        assert out.dtype == dtype
        torch.testing.assert_close(out.double(), expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-3)

    def test_half_precision_gradients_are_finite(self):
        value, points, weights = deformable_inputs()
        value, weights = (x.bfloat16().requires_grad_() for x in (value, weights))
        points.requires_grad_()
        ms_deform_attn(value, SHAPES, points, weights).sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in (value, points, weights))

    def test_heads_start_out_looking_around_each_query(self):
        """With the initial weights, a map that is constant stays so away from its border."""
        module = MSDeformAttention(16, num_heads=4, num_levels=1, num_points=2)
        torch.nn.init.eye_(module.value_proj.weight)
        torch.nn.init.eye_(module.output_proj.weight)
        centre = torch.tensor([[0.5, 0.5]])
        out = module(torch.randn(1, 1, 16), torch.ones(1, 81, 16), centre, [(9, 9)])
        torch.testing.assert_close(out, torch.ones(1, 1, 16))
        x = torch.linspace(0, 1, 9).expand(9, 9).flatten().view(1, 81, 1).expand(-1, -1, 16)
        right = module(torch.randn(1, 1, 16), x, centre, [(9, 9)]).view(4, 4)
        assert right[0].mean() > 0.6 > 0.4 > right[2].mean()  # the first head looks right, the third left


class TestPositionalEncoding:
    @pytest.mark.parametrize('shape', [(3, 5), (1, 1), (17, 2)])
    def test_each_entry(self, shape):
        encoding = sine_positional_encoding(*shape, channels=8)
        assert encoding.shape == (shape[0] * shape[1], 8)
        for row in range(shape[0]):
            for column in range(shape[1]):
                expected = []
                for place, count in ((row, shape[0]), (column, shape[1])):
                    for i in range(2):
                        phase = 2 * math.pi * (place + 1) / (count + 1e-6) / 10000 ** (2 * i / 4)
                        expected += [math.sin(phase), math.cos(phase)]
                found = encoding[row * shape[1] + column]
                torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)


class TestMultiheadAttention:
    def test_it_is_torchs_with_published_weights(self):
        theirs, ours = torch.nn.MultiheadAttention(16, 4, batch_first=True), MultiheadAttention(16, 4)
        published = {f'attn.{name}': value for name, value in theirs.state_dict().items()}
        ours.load_state_dict(published, strict=True)
        query, key, value = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
        attend = torch.rand(2, 5, 7) > 0.5
        attend[..., 0] = True
        expected = theirs(query, key, value, attn_mask=~attend.repeat_interleave(4, 0), need_weights=False)[0]
        torch.testing.assert_close(ours(query, key, value, attend), expected)

    def test_heads_that_do_not_divide_the_channels(self):
        with pytest.raises(ValueError, match='10 channels do not split into num_heads=4'):
            MultiheadAttention(10, 4)
