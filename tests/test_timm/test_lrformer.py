"""What timm's tools expect of its networks, asked of LRFormer."""

import argparse
import io

import pytest
import timm
import torch
from timm.loss import SoftTargetCrossEntropy
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2

import mmseg.timm
from mmseg.models import EncoderDecoder
from mmseg.models.backbones import LRFormer

from ..published import formula_image, formula_weights
from ..test_zoo.hub import hub_at

NAMES = [f'lrformer_{size}' for size in ('nano', 'tiny', 'small', 'base', 'large', 'xlarge')]
SHALLOW = dict(depths=(1, 1, 2, 1))


def nano(**options):
    torch.manual_seed(0)
    return timm.create_model('lrformer_nano', **{**SHALLOW, 'num_classes': 5, **options})


def image(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def classifier_weights(norm: bool = True, classes: int = 1000) -> dict:
    """The published backbone of LRFormer-T with the entries of an ImageNet classifier beside it."""
    weights = {name: value for name, value in formula_weights('lrformer-t').items() if name.startswith('backbone.')}
    weights = {name.removeprefix('backbone.'): value for name, value in weights.items()}
    weights |= {'head.weight': image(classes, 384), 'head.bias': image(classes)}
    return weights | ({'norm.weight': 1 + image(384) / 10, 'norm.bias': image(384)} if norm else {})


@pytest.mark.parametrize('name', NAMES)
def test_a_network_of_timm(name):
    assert name in timm.list_models('lrformer_*')
    model = timm.create_model(name, **SHALLOW).eval()
    cfg, state = model.default_cfg, model.state_dict()
    assert model.num_classes == cfg['num_classes'] == 1000
    assert state[f'{cfg["classifier"]}.weight'].shape == (1000, model.num_features)
    assert state[f'{cfg["first_conv"]}.weight'].shape[1] == cfg['input_size'][0]
    assert not {'mean', 'std', 'interpolation', 'crop_pct', 'input_size', 'min_input_size'} - set(cfg)
    with torch.no_grad():
        x = image(1, *cfg['min_input_size'])
        features = model.forward_features(x)
        assert features.shape == (1, model.num_features, 1, 1)
        assert model(x).shape == (1, 1000)
    with torch.device('meta'):
        whole = timm.create_model(name, num_classes=0)
        backbone = LRFormer({'nano': 'n', 'xlarge': 'xl'}.get(name[9:], name[9]))
    assert set(whole.state_dict()) == {*backbone.state_dict(), 'norm.weight', 'norm.bias'}


def test_all_parameters_learn():
    model = nano()
    model(image(2, 3, 64, 96)).mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_classifier():
    model = nano().eval()
    features = model.forward_features(image(2, 3, 64, 64))
    pooled = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.mean(dim=(2, 3)))
    torch.testing.assert_close(model.get_classifier()(pooled), model(image(2, 3, 64, 64)))
    model.reset_classifier(3)
    assert model(image(1, 3, 64, 64)).shape == (1, 3) and model.get_classifier().out_features == model.num_classes == 3
    model.reset_classifier(0)
    assert model(image(1, 3, 64, 64)).shape == (1, model.num_features)
    model.reset_classifier(0, '')
    assert model(image(1, 3, 64, 64)).shape == (1, model.num_features, 2, 2)
    assert nano(num_classes=0, global_pool='')(image(1, 3, 64, 64)).shape == (1, model.num_features, 2, 2)
    assert 'head.fc.weight' not in nano(num_classes=0).state_dict()


@pytest.mark.parametrize('out_indices', [None, (0, 1, 2, 3), (1, 3), (-2,), 2])
def test_features_only(out_indices):
    indices = {} if out_indices is None else dict(out_indices=out_indices)
    model = nano(features_only=True, in_chans=4, **indices).eval()
    maps = model(image(1, 4, 64, 96))
    assert [m.shape[1] for m in maps] == model.feature_info.channels()
    assert [(64 // s, 96 // s) for s in model.feature_info.reduction()] == [m.shape[2:] for m in maps]
    assert [dict(model.model.named_modules()).get(name) is not None for name in model.feature_info.module_name()]
    assert len(model.model.stages) == 3 if out_indices == (-2,) else len(model.model.stages) == 4


def test_intermediates():
    model, x = nano().eval(), image(2, 3, 64, 64)
    final, maps = model.forward_intermediates(x)
    torch.testing.assert_close(final, model.forward_features(x))
    backbone = LRFormer('n', **SHALLOW).eval()
    backbone.load_state_dict({k: v for k, v in model.state_dict().items() if k.startswith('stages.')})
    torch.testing.assert_close(maps, list(backbone(x)))
    torch.testing.assert_close(model.forward_intermediates(x, [1, -1], intermediates_only=True), [maps[1], maps[3]])
    torch.testing.assert_close(model.forward_intermediates(x, 1, norm=True)[1][0], final)
    early, [second] = model.forward_intermediates(x, [1], stop_early=True)
    torch.testing.assert_close(early, second)
    torch.testing.assert_close(second, maps[1])
    tokens, with_norm = model.get_intermediate_layers(x, 2), model.get_intermediate_layers(x, 1, True, True)
    assert [t.shape for t in tokens] == [(2, 16, 120), (2, 4, 192)]
    torch.testing.assert_close(with_norm[0], final)
    with pytest.raises(ValueError, match="output_fmt='NHWC'"):
        model.forward_intermediates(x, output_fmt='NHWC')


@pytest.mark.parametrize(('indices', 'kept', 'stages'), [(1, [3], 4), ([0, 2], [0, 2], 3), ([-3], [1], 2)])
def test_pruning_keeps_what_is_asked_for(indices, kept, stages):
    model, x = nano().eval(), image(1, 3, 64, 64)
    before = model.forward_intermediates(x, kept, intermediates_only=True)
    assert model.prune_intermediate_layers(indices, prune_norm=True) == kept
    assert len(model.stages) == stages and 'norm.weight' not in model.state_dict()
    torch.testing.assert_close(model.forward_intermediates(x, kept, intermediates_only=True), before)
    assert model(x).shape[1] == model.num_features == model.feature_info[max(kept)]['num_chs']


def test_groups_follow_the_network():
    model = nano()
    for coarse, count in ((False, 1 + 5 + 1), (True, 1 + 4 + 1)):
        groups = group_parameters(model, model.group_matcher(coarse=coarse))
        assert sum(map(len, groups.values())) == len(list(model.parameters()))
        assert len(groups) == count
        assert all(name.startswith('stages.0.embed') for name in groups[0])
        assert any(name.startswith('head.fc') for name in groups[max(groups)])


def test_layer_decay():
    model = nano()
    optimizer = create_optimizer_v2(model, opt='adamw', lr=1.0, weight_decay=0.05, layer_decay=0.5)
    names = {id(p): name for name, p in model.named_parameters()}
    scales = {names[id(p)]: group['lr_scale'] for group in optimizer.param_groups for p in group['params']}
    assert set(scales) == set(names.values())
    order = ['stages.0.embed.norm.weight', 'stages.0.blocks.0.cpe.weight', 'stages.2.blocks.0.cpe.weight']
    order += ['stages.2.blocks.1.cpe.weight', 'stages.3.blocks.0.cpe.weight', 'head.fc.weight']
    assert [scales[name] for name in order] == sorted({scales[name] for name in order})
    assert scales['stages.2.pyramid.0.weight'] == scales['stages.2.embed.proj.weight']
    decays = {names[id(p)]: group['weight_decay'] for group in optimizer.param_groups for p in group['params']}
    assert {len(model.get_parameter(name).shape) for name, decay in decays.items() if decay == 0} == {1}


def test_checkpointing_of_gradients():
    grads = []
    for enable in (False, True):
        model = nano()
        model.set_grad_checkpointing(enable)
        model(image(1, 3, 64, 64)).sum().backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
        assert all(stage.with_cp == enable for stage in model.stages)
    torch.testing.assert_close(*grads)


def test_unknown_keys_are_refused():
    with pytest.raises(TypeError, match="unknown key 'window_size'"):
        nano(window_size=7)
    with pytest.raises(TypeError, match='out_indices goes with features_only=True'):
        nano(out_indices=(1, 2))


def test_pretrained_comes_from_the_hub(tmp_path, monkeypatch):
    weights, content = classifier_weights(), io.BytesIO()
    torch.save(dict(model=weights), content)
    with hub_at(monkeypatch, tmp_path, 'yuhuan-wu/LRFormer-Models') as hub:
        hub.put('LRFormer_tiny.pth', content.getvalue())
        model = timm.create_model('lrformer_tiny', pretrained=True)
    torch.testing.assert_close(model.get_classifier().weight.detach(), weights['head.weight'])


@pytest.mark.parametrize('norm', [True, False])
def test_published_weights(tmp_path, norm):
    weights, x = classifier_weights(norm), formula_image(64, 64)
    torch.save(dict(model=weights, epoch=299), file := tmp_path / 'tiny.pth')
    overlay = dict(hf_hub_id=None, file=str(file), custom_load=True)
    model = timm.create_model('lrformer_tiny', pretrained=True, pretrained_cfg_overlay=overlay).eval()
    backbone = LRFormer('t', init_cfg=dict(type='Pretrained', checkpoint=str(file))).eval()
    backbone.init_weights()
    with torch.no_grad():
        last = backbone(x)[-1]
        if norm:
            last = torch.nn.functional.layer_norm(
                last.permute(0, 2, 3, 1), (384,), weights['norm.weight'], weights['norm.bias'], 1e-6
            ).permute(0, 3, 1, 2)
        expected = last.mean(dim=(2, 3)) @ weights['head.weight'].T + weights['head.bias']
        torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_published_weights_on_other_tasks(tmp_path, monkeypatch):
    torch.save(classifier_weights(), file := tmp_path / 'tiny.pth')
    options = dict(pretrained=True, pretrained_cfg_overlay=dict(hf_hub_id=None, file=str(file), custom_load=True))
    said = []
    monkeypatch.setattr('mmseg.timm.lrformer.print_log', lambda text, **options: said.append(text))
    model = timm.create_model('lrformer_tiny', num_classes=7, in_chans=4, **options)
    assert said == [f'{file} has 1000 classes: the classifier of 7 classes stays as it is']
    assert model.get_classifier().out_features == 7
    stem = model.get_parameter('stages.0.embed.convs.0.weight')
    expected = timm.models.adapt_input_conv(4, classifier_weights()['patch_embed1.conv1.0.weight'])
    torch.testing.assert_close(stem.detach(), expected)
    maps = timm.create_model('lrformer_tiny', features_only=True, out_indices=(0, 1), **options)
    torch.testing.assert_close(maps.model.stages[1].embed.norm.bias.detach(),
                               classifier_weights()['patch_embed2.norm.bias'])  # fmt: skip
    torch.save({k: v for k, v in classifier_weights().items() if k != 'head.bias'}, half := tmp_path / 'half.pth')
    options['pretrained_cfg_overlay']['file'] = str(half)
    with pytest.raises(ValueError, match='in the model only.*head.fc.bias'):
        timm.create_model('lrformer_tiny', **options)
    options['pretrained_cfg_overlay']['file'] = str(file)
    with pytest.raises(ValueError, match="the file holds variant 't'.*the model is variant 's'"):
        timm.create_model('lrformer_small', **options)


def test_ten_steps_of_pretraining_start_a_segmentor(tmp_path):
    """As timm's training script has it: its optimizer, schedule and loss, and its checkpoint."""
    model = nano(drop_path_rate=0.1)
    optimizer = create_optimizer_v2(model, opt='adamw', lr=2e-3, weight_decay=0.05, layer_decay=0.8)
    scheduler, _ = create_scheduler_v2(optimizer, sched='cosine', num_epochs=10, warmup_epochs=2, warmup_lr=1e-5)
    mixup = timm.data.Mixup(mixup_alpha=0.2, label_smoothing=0.1, num_classes=5)
    images, labels, losses = image(6, 3, 32, 32), torch.arange(6) % 5, []
    for step in range(10):
        scheduler.step(step)
        mixed, targets = mixup(images.clone(), labels)
        loss = SoftTargetCrossEntropy()(model(mixed), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])

    saved = dict(epoch=0, arch='lrformer_nano', state_dict=model.state_dict(), optimizer=optimizer.state_dict(),
                 version=2, args=argparse.Namespace(model='lrformer_nano', lr=2e-3))  # fmt: skip
    torch.save(saved, file := tmp_path / 'last.pth.tar')
    again = nano(checkpoint_path=str(file)).eval()
    torch.testing.assert_close(again(images), model.eval()(images))
    backbone = dict(type='LRFormer', variant='n', init_cfg=dict(type='Pretrained', checkpoint=str(file)), **SHALLOW)
    segmentor = EncoderDecoder(backbone, dict(type='LRHead', channels=32, num_classes=4))
    segmentor.init_weights()
    ours = segmentor.backbone.state_dict()
    torch.testing.assert_close(ours, {k: v for k, v in model.state_dict().items() if k in ours})


def test_an_encoder_of_smp_trains():
    smp = pytest.importorskip('segmentation_models_pytorch', reason='needs the extra smp')
    assert mmseg.timm.LRFormerClassifier
    torch.manual_seed(0)
    model = smp.Unet('tu-lrformer_small', encoder_weights=None, classes=4, **SHALLOW)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    scores = model(image(2, 3, 64, 64))
    assert scores.shape == (2, 4, 64, 64)
    torch.nn.functional.cross_entropy(scores, torch.zeros(2, 64, 64, dtype=torch.int64)).backward()
    optimizer.step()
    assert not torch.equal(model.encoder.model.model.stages[0].embed.convs[0].weight,
                           before['encoder.model.model.stages.0.embed.convs.0.weight'])  # fmt: skip
