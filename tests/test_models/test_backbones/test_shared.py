"""What all backbones of mmsegmentation do alike: pretrained weights, frozen stages, channels, odd sizes."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.models import (
    MSCAN,
    HRNet,
    MixVisionTransformer,
    ResNet,
    ResNetV1c,
    ResNetV1d,
    ResNeXt,
    SwinTransformer,
    UNet,
)

from ... import upstream_configs

BN = dict(type='BN')
HR_EXTRA = upstream_configs.TINY['hrnet']()['backbone']['extra']
SMALL = {
    'ResNet-18': lambda **cfg: ResNet(18, base_channels=4, **cfg),
    'ResNetV1c': lambda **cfg: ResNetV1c(depth=50, base_channels=4, stem_channels=8, **cfg),
    'ResNetV1d': lambda **cfg: ResNetV1d(depth=50, base_channels=4, stem_channels=8, **cfg),
    'ResNeXt': lambda **cfg: ResNeXt(depth=50, groups=4, base_width=4, base_channels=8, **cfg),
    'HRNet': lambda **cfg: HRNet(HR_EXTRA, **cfg),
    'Swin': lambda **cfg: SwinTransformer(embed_dims=24, depths=(1, 1, 2, 1), **cfg),
    'MiT': lambda **cfg: MixVisionTransformer(embed_dims=8, num_layers=(1, 1, 1, 1), **cfg),
    'MSCAN': lambda **cfg: MSCAN(embed_dims=(8, 16, 24, 32), depths=(1, 1, 1, 1), norm_cfg=BN, **cfg),
    'UNet': lambda **cfg: UNet(base_channels=4, **cfg),
    'UNet-deconv': lambda **cfg: UNet(base_channels=4, upsample_cfg=dict(type='DeconvModule'), **cfg),
}
FREEZABLE = ('ResNet-18', 'ResNetV1c', 'ResNetV1d', 'ResNeXt', 'HRNet', 'Swin')


@pytest.mark.parametrize('name', SMALL)
def test_maps_have_the_channels_and_strides_that_heads_expect(name):
    model = SMALL[name]().eval()
    height, width = (64, 96) if name.startswith('UNet') else (65, 90)
    with torch.no_grad():
        maps = model(torch.randn(1, 3, height, width))
    assert [x.shape[1] for x in maps] == model.out_channels
    strides = (16, 8, 4, 2, 1) if name.startswith('UNet') else (4, 8, 16, 32)
    assert [tuple(x.shape[-2:]) for x in maps] == [(-(-height // s), -(-width // s)) for s in strides]


@pytest.mark.parametrize('name', SMALL)
def test_pretrained_weights_are_read_by_init_weights_alone_and_strictly(name, tmp_path):
    source = SMALL[name]()
    weights = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    file = str(tmp_path / 'weights.pth')
    torch.save({'state_dict': weights | {'decode_head.conv_seg.weight': torch.zeros(1)}}, file)
    model = SMALL[name](init_cfg=dict(type='Pretrained', checkpoint=file, prefix='backbone'))
    key, drawn = next((key, value) for key, value in model.state_dict().items() if value.dim() == 4)
    assert not torch.equal(drawn, source.state_dict()[key])
    model.init_weights()
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items())

    del weights[f'backbone.{key}']
    torch.save({'state_dict': weights}, file)
    with pytest.raises(ValueError, match=rf'does not fit the model\n  in the model only \(1\): {key}'):
        SMALL[name](pretrained=file).init_weights()


@pytest.mark.parametrize('name', SMALL)
def test_weights_that_cannot_be_had_say_so_in_one_line(name):
    with pytest.raises(OSError, match="checkpoint 'nowhere.pth' does not exist"):
        SMALL[name](pretrained='nowhere.pth').init_weights()
    both = dict(pretrained='nowhere.pth', init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))
    with pytest.raises(AssertionError, match='exclude each other'):
        SMALL[name](**both)
    with pytest.raises(TypeError, match='pretrained=123 must be a file or an address'):
        SMALL[name](pretrained=123)


@pytest.mark.parametrize('name', FREEZABLE)
def test_frozen_stages_stay_frozen_in_training(name):
    for stages in (0, 1, 4):
        model = SMALL[name](frozen_stages=stages).train()
        learning = [key for key, value in model.named_parameters() if value.requires_grad]
        if stages == 4:
            assert not learning
            assert not any(m.training for m in model.modules() if isinstance(m, _BatchNorm))
        elif stages == 0:
            assert learning[0].startswith(('layer1', 'stages.0'))
        else:
            assert not [key for key in learning if key.startswith(('layer1', 'stages.0', 'norm0', 'transition1'))]
    with pytest.raises(ValueError, match='frozen_stages=5: write the number of stages to freeze, 0 to 4'):
        SMALL[name](frozen_stages=5)


@pytest.mark.parametrize('name', [name for name in SMALL if name not in ('HRNet', 'UNet', 'UNet-deconv')])
def test_stages_that_no_head_reads_are_left_out(name, tmp_path):
    whole = SMALL[name]().eval()
    model = SMALL[name](**({} if name == 'MSCAN' else dict(out_indices=(0, 1, 3)))).eval()
    model.keep_maps(2)
    assert sum(p.numel() for p in model.parameters()) < 0.5 * sum(p.numel() for p in whole.parameters())
    model.load_state_dict(whole.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert len(model(x)) == len(model.out_channels) == 2
        assert torch.equal(model(x)[1], whole(x)[1])
    model.train()
    sum(y.sum() for y in model(torch.randn(2, 3, 64, 64))).backward()
    assert not [key for key, value in model.named_parameters() if value.grad is None]


def test_norm_eval_keeps_the_statistics():
    for name in ('ResNet-18', 'HRNet', 'UNet'):
        model = SMALL[name](norm_eval=True).train()
        assert not any(m.training for m in model.modules() if isinstance(m, _BatchNorm))
        assert all(value.requires_grad for value in model.parameters())


@pytest.mark.parametrize('name', ['ResNet-18', 'ResNetV1c', 'HRNet', 'Swin', 'MiT', 'UNet'])
def test_recomputed_activations_change_nothing(name):
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = SMALL[name](with_cp=with_cp).eval()  # eval: no dropout, and norms do not move
        model(torch.randn(1, 3, 64, 64))[-1].square().sum().backward()
        gradients.append([value.grad for value in model.parameters()])
    used = [pair for pair in zip(*gradients, strict=True) if pair[0] is not None]
    assert used and all(torch.allclose(*pair, rtol=1e-4, atol=1e-6) for pair in used)


def test_swin_positions_of_another_image_size():
    model = SwinTransformer(pretrain_img_size=64, embed_dims=24, depths=(1, 1, 1, 1), use_abs_pos_embed=True)
    nn.init.constant_(model.absolute_pos_embed, 0.5)
    assert torch.allclose(model.position((20, 30)), torch.full((1, 600, 24), 0.5))
    model = SwinTransformer(embed_dims=24, depths=(1, 1, 1, 1), use_abs_pos_embed=True, frozen_stages=4)
    assert not any(value.requires_grad for value in model.parameters())


def test_what_does_not_go_together_is_said():
    with pytest.raises(AssertionError, match=r'strides\[0\]=2 must be patch_size=4'):
        SwinTransformer(strides=(2, 2, 2, 2))
    with pytest.raises(AssertionError, match='must be one or two numbers'):
        SwinTransformer(pretrain_img_size=(112, 112, 112))
    with pytest.raises(AssertionError, match='HRNet: extra has no stage4'):
        HRNet({key: value for key, value in HR_EXTRA.items() if key != 'stage4'})
    with pytest.raises(AssertionError, match='both sides must be multiples of 16: set size_divisor=16'):
        UNet(base_channels=2)(torch.randn(1, 3, 40, 48))
    with pytest.raises(AssertionError, match='strides=.* must have 5 numbers for 5 stages'):
        UNet(strides=(1, 1))
    with pytest.raises(AssertionError, match='num_heads=.* must have a number for each of 4 stages'):
        MixVisionTransformer(num_heads=(1, 2))


def test_a_deconvolution_that_would_not_double_the_size_is_refused():
    with pytest.raises(ValueError, match='kernel_size=3 must be scale_factor=2 plus an even number'):
        UNet(base_channels=4, upsample_cfg=dict(type='DeconvModule', kernel_size=3))
