import pytest
import torch
from mmengine.optim import build_optim_wrapper
from timm.layers import LayerNorm2d, LayerScale, LayerScale2d
from torch import nn

from mmseg.engine.optimizers import SegOptimWrapperConstructor


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict(
            dict(conv=nn.Conv2d(3, 4, 1), bn=nn.SyncBatchNorm(4), ln=LayerNorm2d(4), gn=nn.GroupNorm(2, 4))
        )
        self.decode_head = nn.ModuleDict(dict(fc=nn.Linear(4, 2), norm=nn.LayerNorm(4), query=nn.Embedding(3, 4)))
        self.decode_head_2 = nn.Linear(2, 2)
        self.decode_head.fc.bias.requires_grad_(False)


def build(model, **paramwise_cfg):
    wrapper_cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.5))
    return SegOptimWrapperConstructor(wrapper_cfg, paramwise_cfg)(model)


def settings(model, **paramwise_cfg):
    groups = build(model, **paramwise_cfg).optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    found = [(names[id(p)], (g['lr'], g['weight_decay'])) for g in groups for p in g['params']]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_rates_go_by_path_and_decay_by_the_kind_of_layer():
    found = settings(Model(), lr_mult={'decode_head': 10.0}, norm_decay_mult=0.0, embed_decay_mult=0.0)
    assert found['backbone.conv.weight'] == found['backbone.conv.bias'] == (1.0, 0.5)
    for norm in ('bn', 'ln', 'gn'):
        assert found[f'backbone.{norm}.weight'] == found[f'backbone.{norm}.bias'] == (1.0, 0.0)
    assert found['decode_head.fc.weight'] == (10.0, 0.5)
    assert found['decode_head.norm.weight'] == found['decode_head.query.weight'] == (10.0, 0.0)
    assert found['decode_head_2.weight'] == (1.0, 0.5)  # a path is not the beginning of a name
    assert 'decode_head.fc.bias' not in found  # not trainable


def test_layer_scales_are_a_kind_of_their_own():
    model = nn.ModuleDict(dict(one=LayerScale(4), two=LayerScale2d(4), conv=nn.Conv2d(3, 4, 1)))
    assert set(settings(model, norm_decay_mult=0.0).values()) == {(1.0, 0.5)}
    found = settings(model, layer_scale_decay_mult=0.0)
    assert found['one.gamma'] == found['two.gamma'] == (1.0, 0.0) and found['conv.weight'] == (1.0, 0.5)


def test_there_are_only_as_many_groups_as_settings():
    wrapper = build(Model(), lr_mult={'decode_head': 10.0}, norm_decay_mult=0.0)
    assert len(wrapper.optimizer.param_groups) == 4
    assert len(build(Model()).optimizer.param_groups) == 1


def test_the_longest_path_and_explicit_decay_win():
    found = settings(
        Model(),
        lr_mult={'decode_head': 10.0, 'decode_head.fc': 3.0},
        norm_decay_mult=0.0,
        decay_mult={'backbone.bn': 2.0},
    )
    assert found['decode_head.fc.weight'][0] == 3.0 and found['decode_head.norm.weight'][0] == 10.0
    assert found['backbone.bn.weight'][1] == 1.0 and found['backbone.ln.weight'][1] == 0.0


def test_shared_parameters_are_optimized_once():
    model = Model()
    model.decode_head_2.weight = nn.Parameter(model.decode_head_2.weight)
    model.tied = nn.Linear(2, 2)
    model.tied.weight = model.decode_head_2.weight
    assert 'tied.bias' in settings(model)


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(norm_decay=0.0), 'unknown in paramwise_cfg: norm_decay .*norm_decay_mult'),
        (dict(custom_keys={}), "lr_mult and decay_mult stand for mmengine's custom_keys"),
        (dict(lr_mult={'head': 2.0}), "no parameters under 'head'; at its top are backbone, decode_head"),
    ],
)
def test_what_has_no_effect_is_refused(cfg, message):
    with pytest.raises(KeyError, match=message):
        build(Model(), **cfg)


def test_it_is_found_by_its_name_in_a_config():
    cfg = dict(
        type='mmseg.AmpOptimWrapper',
        constructor='mmseg.SegOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=1.0),
        paramwise_cfg=dict(lr_mult={'backbone': 0.1}),
        clip_grad=dict(max_norm=1.0),
    )
    assert len(build_optim_wrapper(Model(), cfg).optimizer.param_groups) == 2


def test_a_rate_of_zero_is_not_yet_frozen(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmseg.engine.optimizers.seg_optim_wrapper_constructor.print_log', lambda text, **_: lines.append(text)
    )
    build(Model(), lr_mult={'backbone': 0, 'decode_head': 2})
    assert 'lr_mult is 0 for backbone: running statistics still move' in lines[0]
    assert "model.freeze=['backbone']" in lines[0]
    assert lines[1].startswith('parameter groups (74 of 76 parameters train; frozen: decode_head.fc.bias):')


@pytest.mark.parametrize(
    ('optimizer', 'fused'),
    [
        (dict(type='AdamW', lr=1.0), True),
        (dict(type='SGD', lr=1.0, momentum=0.9), True),
        (dict(type='AdamW', lr=1.0, foreach=True), None),  # a choice of the config's own
        (dict(type='AdamW', lr=1.0, fused=False), False),
        (dict(type='RMSprop', lr=1.0), None),  # PyTorch has no such kernel
    ],
)
def test_one_kernel_updates_all_parameters(optimizer, fused):
    model = torch.nn.Linear(3, 2)
    built = SegOptimWrapperConstructor(dict(optimizer=optimizer))(model).optimizer
    assert built.defaults.get('fused') is fused
    model(torch.ones(1, 3)).sum().backward()
    before = model.weight.clone()
    built.step()
    assert not torch.equal(model.weight, before)
