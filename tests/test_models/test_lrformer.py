import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint

from mmseg.models.backbones.lrformer import LRSA, VARIANTS, LRFormer, ResidualDWConv, grid_size
from mmseg.registry import MODELS
from tests.published import DATA, PUBLISHED, formula_image, formula_weights

OUTPUTS = np.load(DATA / 'lrformer-t_outputs.npz')
TINY = dict(embed_dims=(8, 16, 20, 32), depths=(1, 1, 2, 1), q_pooled_sizes=(4, 4, 4, 4))


def segmentor(variant: str, num_classes: int = 150):
    cfg = dict(
        type='EncoderDecoder',
        backbone=dict(type='LRFormer', variant=variant),
        decode_head=dict(type='LRHead', num_classes=num_classes),
    )
    return MODELS.build(cfg).eval()


@pytest.fixture(scope='module')
def published_t():
    model = segmentor('t')
    model.load_state_dict(formula_weights('lrformer-t'), strict=True)
    return model


@pytest.mark.parametrize('size', [(64, 64), (96, 160)])
def test_outputs_of_the_published_t(published_t, size):
    with torch.inference_mode():
        maps = published_t.backbone(formula_image(*size))
        outputs = {f'stage{i}': x[:, ::4] for i, x in enumerate(maps, 1)} | {'logits': published_t.decode_head(maps)}
    for name, output in outputs.items():
        expected = OUTPUTS[f'{size[0]}x{size[1]}/{name}']
        error = np.abs(output.numpy() - expected).max() / np.abs(expected).max()
        assert error <= 1e-5, (name, error)


def test_deterministic_mode_computes_the_same_by_other_operations(published_t, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError('its gradient on CUDA has no deterministic kernel')

    monkeypatch.setattr('mmseg.models.layers.deterministic.needed', lambda x: True)  # as on CUDA
    for name in ('adaptive_avg_pool2d', 'interpolate'):
        monkeypatch.setattr(f'torch.nn.functional.{name}', refused)
    with torch.inference_mode():
        logits = published_t(formula_image(96, 160), mode='tensor')
    expected = OUTPUTS['96x160/logits']
    assert np.abs(logits.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize('variant', ['t', 's', 'b', 'l'])
def test_published_entries_load_strictly(variant):
    published = PUBLISHED[f'lrformer-{variant}']
    with torch.device('meta'):
        model = segmentor(variant)
        weights = {name: torch.empty(shape) for name, shape in published['entries'].items()}
    assert sum(p.numel() for p in model.parameters()) == published['params']
    assert sum(p.numel() for p in model.backbone.parameters()) == published['backbone_params']
    model.load_state_dict(weights, strict=True, assign=True)


def test_xl_has_the_published_backbone():
    published = PUBLISHED['lrformer-xl-plus']
    with torch.device('meta'):
        model = LRFormer('xl')
        entries = published['entries'].items()
        weights = {
            name.removeprefix('backbone.'): torch.empty(shape)
            for name, shape in entries
            if name.startswith('backbone.')
        }
    assert sum(p.numel() for p in model.parameters()) == published['backbone_params']
    model.load_state_dict(weights, strict=True, assign=True)
    assert [
        i for i, block in enumerate(model.stages[2].blocks) if isinstance(block.pre_norm, torch.nn.BatchNorm2d)
    ] == [7, 15]


@pytest.mark.parametrize('nesting', ['bare', 'state_dict', 'model'])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_mmengine_loads_a_published_file(tmp_path, published_t, nesting, prefix):
    weights = {prefix + name: value for name, value in formula_weights('lrformer-t').items()}
    weights[prefix + 'data_preprocessor.mean'] = torch.zeros(3, 1, 1)
    torch.save(weights if nesting == 'bare' else {nesting: weights, 'meta': {}}, tmp_path / 'published.pth')
    model = segmentor('t')
    load_checkpoint(model, str(tmp_path / 'published.pth'), strict=True)
    for name, value in published_t.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_own_state_dict_loads_back():
    model = LRFormer(**TINY)
    LRFormer(**TINY).load_state_dict(model.state_dict(), strict=True)


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (64, 33), (95, 255)])
def test_any_size_from_32(size):
    maps = LRFormer(**TINY).eval()(torch.randn(1, 3, *size))
    for stride, dim, x in zip((4, 8, 16, 32), TINY['embed_dims'], maps, strict=True):
        assert x.shape == (1, dim, *(-(-side // stride) for side in size))
        assert x.isfinite().all()


def test_smaller_than_32_is_refused():
    with pytest.raises(ValueError, match='31x64.*32x32 is the smallest'):
        LRFormer(**TINY)(torch.randn(1, 3, 31, 64))


@pytest.mark.parametrize(
    ('size', 'short', 'expected'),
    [
        ((64, 64), 16, (16, 16)),
        ((60, 80), 11, (11, 15)),
        ((80, 60), 11, (15, 11)),
        ((30, 45), 11, (11, 17)),
        ((3, 5), 16, (16, 27)),
    ],
)
def test_grid_keeps_the_aspect_ratio(size, short, expected):
    assert grid_size(*size, short) == expected  # 45*11/30 = 16.5 rounds up


def test_attention_does_not_depend_on_the_input_size():
    """The tokens that attention sees are as many for a map of any size with the same aspect ratio."""
    attention, counts = LRSA(16, 2), []
    attention.kv.register_forward_hook(lambda module, args, output: counts.append(output.shape[1]))
    pyramid = torch.nn.ModuleList(ResidualDWConv(16) for _ in range(4))
    for side in (16, 32, 128):
        attention(torch.randn(1, 16, side, side), pyramid)
    assert counts == [11**2 + 8**2 + 6**2 + 4**2] * 3


@pytest.mark.parametrize('out_indices', [(0,), (2, 3), (0, 1, 2, 3)])
def test_out_indices(out_indices):
    model = LRFormer(**TINY, out_indices=out_indices)
    assert (
        [x.shape[1] for x in model(torch.randn(1, 3, 32, 32))]
        == model.out_channels
        == [TINY['embed_dims'][i] for i in out_indices]
    )


def test_gradient_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    plain = LRFormer(**TINY)
    recomputed = LRFormer(**TINY, with_cp=True)
    recomputed.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 48, 64)
    for model in (plain, recomputed):
        sum(y.square().mean() for y in model(x)).backward()
    for a, b in zip(plain.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_stochastic_depth_rises_linearly():
    rates = [
        block.drop_path.drop_prob for stage in LRFormer(**TINY, drop_path_rate=0.4).stages for block in stage.blocks
    ]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_dimensions_replace_those_of_the_variant():
    model = LRFormer('t', depths=(1, 1, 1, 1), in_channels=4)
    assert [len(stage.blocks) for stage in model.stages] == [1, 1, 1, 1]
    assert model.out_channels == list(VARIANTS['t'].embed_dims)
    model(torch.randn(1, 4, 32, 32))


@pytest.mark.parametrize(
    ('keys', 'message'),
    [
        (dict(checkpoint='x.pth'), r"unknown key 'checkpoint'; write init_cfg=dict\(type='Pretrained'"),
        (dict(q_pool_ratios=(8, 4, 2, 1)), "unknown key 'q_pool_ratios'; write q_pooled_sizes="),
        (dict(drop_path=0.1), "unknown key 'drop_path'"),
        (dict(q_conv=True), 'q_conv=True is not supported'),
        (dict(use_ls=False), 'use_ls=False is not supported'),
        (dict(variant='m'), "variant='m' is none of 'n', 't'"),
        (dict(depths=(1, 1)), 'four numbers'),
        (dict(drop_path_rate=1.5), 'drop_path_rate=1.5'),
        (dict(out_indices=(4,)), 'out_indices'),
        (dict(out_indices=3), 'list stages'),
        (dict(num_heads=(5, 4, 10, 16)), 'num_heads=5'),
    ],
)
def test_wrong_keys_raise_and_name_the_fix(keys, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MODELS.build(dict(type='LRFormer', **{'variant': 't', **keys}))


def test_published_keys_without_effect_are_accepted():
    LRFormer(**TINY, q_conv=False, extra_act=False, use_ls=True)


def test_no_variant_and_no_dimensions():
    with pytest.raises(ValueError, match='needs a variant'):
        LRFormer()


class TestPretrained:
    """ImageNet weights through ``init_cfg``."""

    @staticmethod
    def save(path, edit=None, prefix=''):
        entries = formula_weights('lrformer-t').items()
        weights = {prefix + name.removeprefix('backbone.'): v for name, v in entries if name.startswith('backbone.')}
        weights |= {
            'head.weight': torch.zeros(1000, 384),
            'head.bias': torch.zeros(1000),
            'norm4.weight': torch.zeros(384),
        }
        if edit:
            edit(weights)
        torch.save({'model': weights}, path)
        return dict(type='Pretrained', checkpoint=str(path))

    @pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.', 'module.backbone.'])
    def test_loads(self, tmp_path, published_t, prefix):
        model = LRFormer('t', init_cfg=self.save(tmp_path / 'imagenet.pth', prefix=prefix))
        model.init_weights()
        for name, value in published_t.backbone.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name

    def test_a_missing_entry_raises(self, tmp_path):
        init_cfg = self.save(tmp_path / 'imagenet.pth', lambda weights: weights.pop('block3.2.cpe.bias'))
        with pytest.raises(ValueError, match=r'(?s)imagenet\.pth does not fit.*stages\.2\.blocks\.2\.cpe\.bias'):
            LRFormer('t', init_cfg=init_cfg).init_weights()

    def test_an_extra_entry_raises(self, tmp_path):
        init_cfg = self.save(tmp_path / 'imagenet.pth', lambda weights: weights.update(extra=torch.zeros(1)))
        with pytest.raises(ValueError, match='in the file only.*extra'):
            LRFormer('t', init_cfg=init_cfg).init_weights()

    def test_another_variant_is_named(self, tmp_path):
        with pytest.raises(ValueError, match="the file holds variant 't'.*the model is variant 'n'.*write variant='t'"):
            LRFormer('n', init_cfg=self.save(tmp_path / 'imagenet.pth')).init_weights()

    def test_a_whole_segmentor_is_refused(self, tmp_path):
        torch.save({'state_dict': formula_weights('lrformer-t')}, tmp_path / 'whole.pth')
        model = LRFormer('t', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'whole.pth')))
        with pytest.raises(ValueError, match='give it as load_from'):
            model.init_weights()

    def test_a_missing_file(self, tmp_path):
        model = LRFormer('t', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'none.pth')))
        with pytest.raises(FileNotFoundError, match='none.pth'):
            model.init_weights()
