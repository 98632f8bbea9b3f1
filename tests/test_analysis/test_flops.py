from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg.analysis.flops import count
from mmseg.cli import main
from mmseg.registry import MODELS

ROOT = Path(__file__).parents[2]
PLUS = [('t', 512, 53), ('s', 512, 70), ('b', 512, 94), ('l', 640, 192)]
PUBLISHED = [('t', 512, 16.7), ('s', 512, 40.0), ('b', 512, 74.8), ('l', 512, 121.9), ('l', 640, 181.9)]


@pytest.mark.parametrize(('variant', 'side', 'gmacs'), PUBLISHED)
def test_counts_are_the_published_ones(variant, side, gmacs):
    cfg = Config.fromfile(ROOT / f'configs_local/lrformer/lrformer-{variant}-160k_ade20k.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
    macs = count(model, (side, side))
    assert macs[''] / 1e9 == pytest.approx(gmacs, rel=0.02)
    assert macs[''] == pytest.approx(macs['backbone'] + macs['decode_head'])
    assert macs['backbone'] == pytest.approx(macs['backbone.stages'])


@pytest.mark.parametrize(('variant', 'side', 'gmacs'), PLUS)
def test_counts_with_mask2former(variant, side, gmacs):
    cfg = Config.fromfile(ROOT / f'configs_local/lrformer/lrformer-{variant}-plus-160k_ade20k-{side}x{side}.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
    macs = count(model, (side, side))
    assert macs[''] / 1e9 == pytest.approx(gmacs, rel=0.03)
    assert macs['decode_head'] > macs['decode_head.pixel_decoder'] + macs['decode_head.transformer_decoder.layers']


def test_attention_of_all_kinds_is_counted():
    from mmseg.models.layers import MSDeformAttention, MultiheadAttention

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.deformable = MSDeformAttention(32, num_heads=4, num_levels=2, num_points=3)
            self.dot_product = MultiheadAttention(32, 4)

        def forward(self, image, mode):
            x = torch.zeros(1, 20, 32, device=image.device)
            self.deformable(x, x, torch.zeros(20, 2, device=image.device), [(4, 4), (2, 2)])
            self.dot_product(x, x, x)

    with torch.device('meta'):
        macs = count(Both(), (8, 8))
    projections = 20 * 32 * (2 * 32 + 4 * 2 * 3 * 3)
    assert macs['deformable'] == projections + 20 * (2 * 3) * 4 * 32  # six samples of four cells, for each channel
    assert macs['dot_product'] == 20 * 32 * 32 * 4 + 2 * 20 * 20 * 32


def test_the_command_prints_the_table(capsys):
    assert main(['flops', 'lrformer-n_scenes-128x128', '--shape', '128', '--depth', '1']) == 0
    printed = capsys.readouterr().out
    assert 'decode_head' in printed and 'at 128x128: 0.' in printed.replace('\n', ' ')


@pytest.mark.parametrize('channels', [1, 4, 12])
def test_images_have_the_channels_that_the_backbone_takes(channels):
    def total(in_channels):
        with torch.device('meta'):
            backbone = dict(type='LRFormer', variant='n', in_channels=in_channels)
            head = dict(type='LRHead', num_classes=5)
            model = MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=head))
        return count(model.eval(), (64, 64))['']

    first_layer = 32 * 32 * 9 * 12  # multiply-adds for each channel of the image
    assert total(channels) - total(3) == (channels - 3) * first_layer
