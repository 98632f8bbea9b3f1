"""Attention is the model's own, and lies where the picture shows it."""

import numpy as np
import pytest
import torch

from mmseg.registry import MODELS
from mmseg.report.attention import attention_figure, attentions, feature_figure, principal_colours
from mmseg.utils import register_all_modules

SIZES = dict(embed_dims=(8, 16, 20, 32), depths=(1, 1, 2, 1), mlp_ratios=(1, 1, 1, 1), q_pooled_sizes=(8, 8, 4, 4))


@pytest.fixture
def model():
    register_all_modules()
    torch.manual_seed(0)
    head = dict(type='LRHead', channels=16, num_classes=3, q_pooled_size=4)
    cfg = dict(type='EncoderDecoder', backbone=dict(type='LRFormer', **SIZES), decode_head=head)
    return MODELS.build(cfg).eval()


def test_weights_are_those_that_give_the_blocks_output(model):
    inputs = torch.randn(2, 3, 64, 96)
    blocks = {name: m for name, m in model.named_modules() if hasattr(m, 'attn')}
    values, outputs = {}, {}
    for name, block in blocks.items():
        block.attn.kv.register_forward_hook(lambda m, x, out, name=name: values.setdefault(name, out))
        block.attn.proj.register_forward_pre_hook(lambda m, x, name=name: outputs.setdefault(name, x[0]))
    found = attentions(model, inputs)
    assert {attention.name for attention in found} == set(blocks) and len(found) == len(blocks) == 7
    for attention in found:
        lrsa = blocks[attention.name].attn
        assert sum(h * w for h, w in attention.key_grids) == attention.weights.shape[2]
        assert attention.query_grid[0] == lrsa.q_size and attention.query_grid[1] == round(1.5 * lrsa.q_size)
        assert [h for h, _ in attention.key_grids] == lrsa.kv_sizes
        value = lrsa.split_heads(values[attention.name].chunk(2, dim=-1)[1])[0]
        mixed = (attention.weights @ value).transpose(0, 1).flatten(1)
        torch.testing.assert_close(mixed, outputs[attention.name][0], atol=1e-5, rtol=1e-4)


def test_a_place_is_its_cell_and_its_levels_add_up_to_one(model):
    attention = attentions(model, torch.randn(1, 3, 64, 96))[0]
    for y, x, cell in ((0.0, 0.0, 0), (1.0, 1.0, 8 * 12 - 1), (0.5, 0.26, 4 * 12 + 3)):
        levels = attention.of(y, x)
        assert [level.shape for level in levels] == attention.key_grids
        assert sum(level.sum() for level in levels) == pytest.approx(1, abs=1e-5)
        expected = attention.weights.mean(0)[cell].numpy()
        assert np.array_equal(np.concatenate([level.ravel() for level in levels]), expected)
        assert attention.density(y, x, (64, 96)).mean() == pytest.approx(1, abs=0.1)


def test_pictures(model, tmp_path):
    image, inputs = np.zeros((64, 96, 3), np.uint8), torch.randn(1, 3, 64, 96)
    attention_figure(image, attentions(model, inputs)[:5], 0.2, 0.9).savefig(tmp_path / 'a.png')
    with torch.no_grad():
        feature_figure(image, model.extract_feat(inputs)).savefig(tmp_path / 'b.png')
    colours = principal_colours(torch.randn(1, 2, 4, 5))  # fewer channels than colours
    assert colours.shape == (4, 5, 3) and colours.min() == 0 and colours.max() == 1 and not colours[..., 2].any()


def test_models_without_lrsa_are_refused():
    with pytest.raises(ValueError, match='Conv2d has no low-resolution self-attention'):
        attentions(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 32, 32))
