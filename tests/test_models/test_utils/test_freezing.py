import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmseg.engine.optimizers import SegOptimWrapperConstructor
from mmseg.models import LRFormer
from mmseg.models.utils import describe_trainable, stages_to_freeze

from ..test_segmentor import TINY, annotated, tiny_segmentor

WAYS = {
    'by path': dict(freeze=['backbone.stages.0', 'backbone.stages.1']),
    'by pattern': dict(freeze='backbone.stages.[01]'),
    'by the backbone': dict(backbone=dict(frozen_stages=2)),
}


def dropping(**cfg):
    return tiny_segmentor(**{**cfg, 'backbone': dict(TINY, drop_path_rate=0.9, **cfg.get('backbone', {}))})


def step(model, wrapper):
    images, labels = torch.randn(2, 3, 64, 64), [annotated(torch.randint(0, 5, (64, 64))) for _ in range(2)]
    losses = model(images, labels, mode='loss')
    wrapper.update_params(losses['decode.loss_ce'])


@pytest.mark.parametrize('way', WAYS)
def test_frozen_parts_stay_bit_for_bit_and_the_others_learn(way):
    torch.manual_seed(0)
    model = dropping(**WAYS[way])
    before = copy.deepcopy(model.state_dict())
    optimizer = dict(type='AdamW', lr=0.1, weight_decay=0.5)
    wrapper = SegOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=optimizer))(model)
    for _ in range(2):  # as a loop does: validation between
        model.train()
        step(model, wrapper)
        model.eval()
    after = model.state_dict()
    moved = {name.rsplit('.', 1)[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert not [name for name in moved if name.startswith(('backbone.stages.0.', 'backbone.stages.1.'))]
    assert {'backbone.stages.2.embed.norm', 'backbone.stages.3.blocks.0.attn.q', 'decode_head.conv_seg'} <= moved


@pytest.mark.parametrize('way', WAYS)
def test_dropout_of_frozen_parts_is_off(way):
    model = dropping(**WAYS[way]).train()
    assert not any(module.training for i in (0, 1) for module in model.backbone.stages[i].modules())
    assert model.training and model.backbone.training and model.backbone.stages[2].blocks[0].drop_path.training
    assert not any(module.training for module in model.eval().modules())


def test_a_constructor_of_mmengine_copes():
    model = dropping(**WAYS['by path']).train()
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1, weight_decay=0.1)))
    before = copy.deepcopy(model.backbone.stages[0].state_dict())
    step(model, wrapper)
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.stages[0].state_dict().items())


def test_every_parameter_that_trains_gets_a_gradient():
    """Else processes would wait for each other."""
    model = dropping(freeze=['backbone', 'decode_head.squeeze1.bn.bias']).train()
    model(torch.randn(2, 3, 64, 64), [annotated(torch.zeros(64, 64, dtype=int))] * 2, mode='loss')[
        'decode.loss_ce'
    ].backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert not model.decode_head.squeeze1.bn.bias.requires_grad and model.decode_head.squeeze1.bn.training


def test_the_log_says_what_trains(monkeypatch):
    lines = []
    monkeypatch.setattr('mmseg.models.segmentors.base.print_log', lambda text, **_: lines.append(text))
    model = tiny_segmentor(freeze=['backbone.stages.0', 'backbone.stages.1', 'decode_head.conv_seg.bias'])
    total, trained = (
        sum(p.numel() for p in model.parameters() if p.requires_grad or everything) for everything in (True, False)
    )
    assert lines == [
        f'{trained:,} of {total:,} parameters train; '
        'frozen: backbone.stages.0, backbone.stages.1, decode_head.conv_seg.bias'
    ]
    tiny_segmentor()
    assert len(lines) == 1


def test_parts_are_described_as_large_as_they_are():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), nn.Linear(1, 1))
    assert describe_trainable(model) == '11 of 11 parameters train'
    model[0].requires_grad_(False)
    assert describe_trainable(model) == '2 of 11 parameters train; frozen: 0'


@pytest.mark.parametrize(
    ('path', 'near'),
    [
        ('backbone.stage.0', 'near it are .*backbone.stages.0'),
        ('backbone.patch_embed1', "under 'backbone' are backbone.stages"),
        ('head', 'at its top are .*decode_head'),
        ('backbone.stages.4.*', 'near it are .*backbone.stages.3'),
    ],
)
def test_a_path_that_names_nothing(path, near):
    with pytest.raises(ValueError, match=f'(?s)no part to freeze at .*{near}'):
        tiny_segmentor(freeze=[path])


@pytest.mark.parametrize('freeze', [None, True, [0], {'backbone': True}])
def test_what_is_no_path(freeze):
    with pytest.raises(TypeError, match='freeze=.* must be a path or a list of them'):
        tiny_segmentor(freeze=freeze)


@pytest.mark.parametrize('count', [None, True, '2', 2.0, [0, 1]])
def test_what_is_no_number_of_stages(count):
    with pytest.raises(ValueError, match='frozen_stages=.*: write the number of stages'):
        stages_to_freeze(count, 'stem', ['1', '2'])


def test_frozen_stages():
    assert stages_to_freeze(-1, 'stem', ['1', '2']) == []
    assert stages_to_freeze(0, 'stem', ['1', '2']) == ['stem']
    assert stages_to_freeze(2, 'stem', ['1', '2']) == ['stem', '1', '2']
    with pytest.raises(ValueError, match='frozen_stages=3: write the number of stages to freeze, 0 to 2'):
        stages_to_freeze(3, 'stem', ['1', '2'])
    stem = LRFormer('n', frozen_stages=0).stages[0]
    assert not any(p.requires_grad for p in stem.embed.parameters())
    assert all(p.requires_grad for p in stem.blocks.parameters())
