"""The forms for export compute what the layers do; the graphs made of them are tested in test_export."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.apis import init_model
from mmseg.models.backbones.lrformer import pool_to_grids
from mmseg.models.layers import export_forms, exporting, ms_deform_attn
from mmseg.models.layers.exporting import low_res_pools
from mmseg.zoo import config_file

GRIDS = (16, 11, 8, 6, 4, 32)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_pools_as_published(height, width):
    x = torch.randn(1, 2, height, width)
    with export_forms():
        pooled = low_res_pools(x, GRIDS)
    for grid, expected in zip(pooled, pool_to_grids(x, GRIDS), strict=True):
        torch.testing.assert_close(grid, expected)


def test_grid_sizes_are_the_published_ones_up_to_4096_pixels():
    for short_side in GRIDS:
        for shorter in range(1, 1000, 7):
            for longer in (shorter, shorter + 1, 2 * shorter - 1, shorter * 3 // 2 + 1, max(shorter, 1024)):
                published = round(longer * short_side / shorter + 0.001)
                assert (1000 * longer * short_side + 501 * shorter) // (1000 * shorter) == published


def test_samples_as_embedding_bag_does():
    shapes = [(3, 5), (6, 9)]
    value = torch.randn(2, 15 + 54, 4, 8)
    points = torch.rand(2, 7, 4, 2, 3, 2) * 1.4 - 0.2  # some lie beyond the edges
    weights = torch.rand(2, 7, 4, 2, 3)
    expected = ms_deform_attn(value, shapes, points, weights)
    with export_forms():
        torch.testing.assert_close(ms_deform_attn(value, shapes, points, weights), expected)


@pytest.mark.parametrize('name', ['lrformer-n_scenes-128x128', 'lrformer-n-plus_scenes-128x128'])
@torch.no_grad()
def test_networks_say_the_same(name):
    from mmseg.export.parity import draw_weights

    torch.manual_seed(0)
    model = init_model(config_file(name), device='cpu')
    draw_weights(model)
    for height, width in ((32, 32), (33, 70), (70, 33)):
        image = torch.randn(2, 3, height, width)
        expected = model._scores(image)
        with export_forms():
            torch.testing.assert_close(model._scores(image), expected, rtol=1e-4, atol=1e-4)
    assert not exporting()
