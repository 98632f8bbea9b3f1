"""Learning rates that fall towards the stem, parameter by parameter."""

import pytest
from torch import nn

from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

BACKBONES = {
    'LRFormer': dict(type='LRFormer', embed_dims=(8, 8, 8, 8), depths=(1, 1, 2, 1), num_heads=(1, 1, 1, 1)),
    'MiT': dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 2, 1], num_heads=[1, 1, 1, 1]),
    'Swin': dict(type='SwinTransformer', embed_dims=12, depths=(1, 1, 2, 1), num_heads=(1, 1, 1, 1)),
    'ViT': dict(type='TIMMBackbone', model_name='vit_tiny_patch16_224', pretrained=False, depth=5, embed_dim=12),
    'ResNet': dict(type='TIMMBackbone', model_name='resnet10t', pretrained=False),
    'ConvNeXt': dict(
        type='TIMMBackbone', model_name='convnext_atto', pretrained=False, depths=(1, 1, 2, 1), dims=(8, 8, 8, 8)
    ),
}
# Parameters by the start of their name -> layer, of 5 (ResNet: 4).
LAYERS = {
    'LRFormer': {'stages.0.embed': 0, 'stages.0.blocks.0': 1, 'stages.1.embed': 1, 'stages.2.blocks.1': 4},
    'MiT': {'layers.0.0.projection': 0, 'layers.0.1.0': 1, 'layers.1.0.': 1, 'layers.2.1.0': 3, 'layers.3.1.0': 5},
    'Swin': {'patch_embed': 0, 'stages.0.blocks.0': 1, 'stages.0.downsample': 1, 'stages.3.blocks.0': 5, 'norm3': 5},
    'ViT': {'timm_model.model.patch_embed': 0, 'timm_model.model.pos_embed': 0, 'timm_model.model.blocks.4': 5},
    'ResNet': {'timm_model.conv1': 0, 'timm_model.layer1.0': 1, 'timm_model.layer4.0': 4},
    'ConvNeXt': {'timm_model.stem': 0, 'timm_model.stages_1.downsample': 1, 'timm_model.stages_2.blocks.1': 4},
}


def model_of(backbone):
    head = nn.ModuleDict(dict(conv=nn.Conv2d(8, 3, 1), norm=nn.BatchNorm2d(3)))
    return nn.ModuleDict(dict(backbone=MODELS.build(backbone), decode_head=head))


def settings(model, constructor='LearningRateDecayOptimizerConstructor', **paramwise_cfg):
    """Name -> (learning rate, weight decay)."""
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.5))
    build = OPTIM_WRAPPER_CONSTRUCTORS.get(constructor)(wrapper, paramwise_cfg)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build(model).optimizer.param_groups
    return {names[id(p)]: (group['lr'], group['weight_decay']) for group in groups for p in group['params']}


@pytest.mark.parametrize('name', BACKBONES)
def test_each_layer_has_its_rate(name):
    model = model_of(BACKBONES[name])
    found = settings(model, decay_rate=0.5)
    assert found.keys() == {key for key, _ in model.named_parameters()}  # each once
    count = 4 if name == 'ResNet' else 5
    assert found['decode_head.conv.weight'] == (1.0, 0.5) and found['decode_head.norm.weight'] == (1.0, 0.0)
    assert {lr for lr, _ in found.values()} == {0.5**i for i in range(count + 2)}
    for start, layer in LAYERS[name].items():
        rates = {lr for key, (lr, _) in found.items() if key.startswith(f'backbone.{start}')}
        assert rates == {0.5 ** (count + 1 - layer)}, start
    vectors = {decay for key, (_, decay) in found.items() if model.get_parameter(key).ndim == 1}
    assert vectors == {0.0} and found == settings(
        model, 'LayerDecayOptimizerConstructor', decay_rate=0.5, num_layers=count
    )


def test_position_embeddings_do_not_decay():
    assert settings(model_of(BACKBONES['ViT']), decay_rate=0.9)['backbone.timm_model.model.pos_embed'][1] == 0


@pytest.mark.parametrize('name', ['LRFormer', 'ConvNeXt'])
def test_stages_and_groups(name):
    model = model_of(BACKBONES[name])
    by_stage = settings(model, decay_rate=0.5, decay_type='stage_wise')
    assert {lr for lr, _ in by_stage.values()} == {0.5**i for i in range(6)}
    halves = settings(model, decay_rate=0.5, num_layers=2)  # blocks 1, 2 and 3, 4, 5
    assert {lr for lr, _ in halves.values()} == {1, 0.5, 0.25, 0.125}
    multiplied = settings(model, decay_rate=0.5, num_layers=2, lr_mult={'decode_head': 10.0, 'backbone': 0.5})
    assert {lr for lr, _ in multiplied.values()} == {10, 0.25, 0.125, 0.0625}


def test_what_is_not_known():
    with pytest.raises(NotImplementedError, match='does not know the layers of ResNet'):
        settings(model_of(dict(type='ResNet', depth=18)), decay_rate=0.9)
    with pytest.raises(NotImplementedError, match='of NoneType'):
        settings(nn.ModuleDict(dict(head=nn.Conv2d(1, 1, 1))), decay_rate=0.9)
    with pytest.raises(ValueError, match='more than the 5 layers'):
        settings(model_of(BACKBONES['LRFormer']), decay_rate=0.9, num_layers=12)
    with pytest.raises(ValueError, match="no stages; take 'layer_wise'"):
        settings(model_of(BACKBONES['ViT']), decay_rate=0.9, decay_type='stage_wise')
    for rules, error, message in (
        (dict(), KeyError, 'must state decay_rate'),
        (dict(decay_rate=1.5), ValueError, 'at most 1'),
        (dict(decay_rate=0.9, decay_type='layerwise'), ValueError, 'layer_wise'),
        (dict(decay_rate=0.9, layers=3), KeyError, 'unknown in paramwise_cfg: layers'),
    ):
        with pytest.raises(error, match=message):
            LearningRateDecayOptimizerConstructor(dict(optimizer=dict(type='SGD', lr=1)), rules)
