from collections import OrderedDict

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from mmseg.checkpoints import load_checkpoint_file, load_model_weights
from mmseg.registry import MODELS

from ..published import formula_weights

SIZES = dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1))
STEM = 'stages.0.embed.convs.0.weight'


def segmentor(num_classes=3, **backbone):
    head = dict(type='LRHead', channels=16, num_classes=num_classes)
    return MODELS.build(dict(type='EncoderDecoder', backbone={**SIZES, **backbone}, decode_head=head))


def backbone(**options):
    return MODELS.build({**SIZES, **options})


def pretrained(path, **options):
    return dict(type='Pretrained', checkpoint=str(path), **options)


def fill(model, path, weights, **options):
    """As load_from does."""
    torch.save(weights, path)
    load_model_weights(model, load_checkpoint_file(path)['state_dict'], source='f.pth', **options)


def same(model, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_all_or_nothing():
    weights = {'a.weight': torch.arange(6.0).view(2, 3), 'a.bias': torch.zeros(2)}
    model = nn.Sequential(OrderedDict(a=nn.Linear(3, 2), b=nn.Linear(2, 2)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r'(?s)f\.pth does not fit.*in the model only \(2\): b\.weight, b\.bias'):
        load_model_weights(model, weights, source='f.pth')
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class TestNames:
    """What wrappers, compilers and averagers add to names."""

    @pytest.mark.parametrize(
        ('place', 'name'),
        [
            ('', '_orig_mod.'),
            ('', 'module._orig_mod.'),
            ('', '_orig_mod.module.'),
            ('', 'module.module.'),
            ('', 'model.'),
            ('', 'ema_model._orig_mod.module.'),
            ('backbone.', 'backbone._orig_mod.'),
            ('backbone.', 'backbone.module._orig_mod.'),
            ('decode_head.', '_orig_mod.decode_head.module.'),
            ('backbone.stages.1.', 'backbone.stages._orig_mod.1._orig_mod.'),
            ('backbone.stages.1.', 'backbone.stages.1._checkpoint_wrapped_module.'),
            ('backbone.stages.1.', '_forward_module.backbone.stages.1._fsdp_wrapped_module.'),
        ],
    )
    def test_additions_of_any_kind_load(self, tmp_path, place, name):
        model, other = segmentor(), segmentor()
        weights = {
            name + key.removeprefix(place) if key.startswith(place) else key: v for key, v in other.state_dict().items()
        }
        fill(model, tmp_path / 'c.pth', weights)
        assert same(model, other)

    def test_a_compiled_model_takes_and_gives_them(self, tmp_path):
        model, plain, again = segmentor(), segmentor(), segmentor()
        model.backbone = torch.compile(model.backbone)
        assert any('_orig_mod' in name for name in model.state_dict())
        fill(model, tmp_path / 'c.pth', plain.state_dict())
        fill(again, tmp_path / 'c.pth', model.state_dict())
        assert same(again, plain)

    def test_published_names_are_translated_under_any_addition(self, tmp_path):
        published, model = (
            formula_weights('lrformer-t'),
            MODELS.build(
                dict(
                    type='EncoderDecoder',
                    backbone=dict(type='LRFormer', variant='t'),
                    decode_head=dict(type='LRHead', num_classes=150),
                )
            ),
        )
        fill(model, tmp_path / 'c.pth', {f'module._orig_mod.{name}': value for name, value in published.items()})
        stem = published['backbone.patch_embed1.conv1.0.weight']
        assert torch.equal(model.state_dict()['backbone.' + STEM], stem)

    @pytest.mark.parametrize('averager', [ExponentialMovingAverage, torch.optim.swa_utils.AveragedModel])
    @pytest.mark.parametrize('key', [None, 'state_dict', 'ema_state_dict', 'model_ema'])
    def test_averaged_models_load(self, tmp_path, averager, key):
        model, other = segmentor(), segmentor()
        weights = averager(other).state_dict()
        fill(model, tmp_path / 'c.pth', {key: weights, 'epoch': 3} if key else weights)
        assert same(model, other)

    def test_two_models_in_one_are_refused(self, tmp_path):
        weights = segmentor().state_dict()
        with pytest.raises(ValueError, match='weights of two models'):
            fill(segmentor(), tmp_path / 'c.pth', {**weights, **{f'module.{k}': v for k, v in weights.items()}})


class TestParts:
    """Files of a part of a model say where they belong, and load there."""

    @pytest.mark.parametrize(
        ('weights', 'message'),
        [
            (lambda m: m.backbone.state_dict(), r'only a backbone, .* model\.backbone\.init_cfg=dict'),
            (lambda m: m.backbone.state_dict(prefix='backbone.'), r'only a backbone: .*model\.backbone\.init_cfg=dict'),
            (lambda m: m.backbone.state_dict(prefix='module.'), r'only a backbone, .* model\.backbone\.init_cfg=dict'),
            (lambda m: m.decode_head.state_dict(), r'only a decode_head, .* model\.decode_head\.init_cfg=dict'),
            (lambda m: m.decode_head.state_dict(prefix='decode_head.'), r'only a decode_head: .*decode_head\.init_cfg'),
            (
                lambda m: {**m.backbone.state_dict(), 'head.weight': torch.zeros(9, 32), 'head.bias': torch.zeros(9)},
                r'image classification network \(a backbone and head.weight, head.bias\): .*backbone\.init_cfg',
            ),
            (
                lambda m: {
                    **m.decode_head.state_dict(prefix='decode_head.'),
                    **m.decode_head.state_dict(prefix='auxiliary_head.'),
                },
                r"only a decode_head: .*decode_head\.init_cfg=.*FILE, prefix='decode_head'\)",
            ),
            (lambda m: {'head.weight': torch.zeros(9, 32)}, 'only a classifier'),
            (lambda m: m.decode_head.conv_seg.state_dict(prefix='decode_head.conv_seg.'), 'only a classifier'),
        ],
    )
    def test_in_load_from(self, tmp_path, weights, message):
        with pytest.raises(ValueError, match=message):
            fill(segmentor(), tmp_path / 'c.pth', weights(segmentor()))

    @pytest.mark.parametrize(
        ('weights', 'message'),
        [
            (lambda m: m.state_dict(), 'whole segmentation model, .* load_from, .*prefix='),
            (lambda m: m.decode_head.state_dict(), r'only a decode head: .*model\.decode_head\.init_cfg'),
            (lambda m: m.decode_head.state_dict(prefix='decode_head.'), r'only a decode head: .*decode_head\.init_cfg'),
            (lambda m: {'head.weight': torch.zeros(9, 32)}, 'only a classifier'),
        ],
    )
    def test_in_a_backbones_init_cfg(self, tmp_path, weights, message):
        torch.save(weights(segmentor()), tmp_path / 'c.pth')
        with pytest.raises(ValueError, match=message):
            backbone(init_cfg=pretrained(tmp_path / 'c.pth')).init_weights()

    @pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
    def test_the_place_that_is_named_takes_them(self, tmp_path, prefix):
        other = segmentor()
        torch.save(other.backbone.state_dict(prefix=prefix), tmp_path / 'b.pth')
        torch.save(other.decode_head.state_dict(), tmp_path / 'h.pth')
        torch.save(other.state_dict(), tmp_path / 'whole.pth')
        model = segmentor(init_cfg=pretrained(tmp_path / 'b.pth'))
        model.decode_head.init_cfg = pretrained(tmp_path / 'h.pth')
        model.init_weights()
        assert same(model, other)
        part = backbone(init_cfg=pretrained(tmp_path / 'whole.pth', prefix='backbone'))
        part.init_weights()
        assert same(part, other.backbone)

    def test_a_whole_models_init_cfg_is_strict_too(self, tmp_path):
        weights = segmentor().state_dict()
        del weights['backbone.' + STEM]
        torch.save(weights, tmp_path / 'c.pth')
        model = segmentor()
        model.init_cfg = pretrained(tmp_path / 'c.pth')
        with pytest.raises(ValueError, match=f'in the model only .*{STEM}'):
            model.init_weights()

    def test_an_unknown_key_and_prefix_are_named(self, tmp_path):
        torch.save(backbone().state_dict(), tmp_path / 'c.pth')
        with pytest.raises(TypeError, match="no 'adapt_channels': .* adapt_input_channels"):
            backbone(init_cfg=pretrained(tmp_path / 'c.pth', adapt_channels=True)).init_weights()
        with pytest.raises(ValueError, match="begins with prefix='encoder'"):
            backbone(init_cfg=pretrained(tmp_path / 'c.pth', prefix='encoder')).init_weights()


class TestChannels:
    """Images of another number of channels than the weights are for."""

    @pytest.mark.parametrize('channels', [1, 2, 4, 6, 13])
    def test_three_are_adapted_on_request(self, tmp_path, channels):
        other, model = segmentor(), segmentor(in_channels=channels)
        fill(model, tmp_path / 'c.pth', other.state_dict(), adapt_input_channels=True)
        grey = torch.rand(1, 1, 64, 64)
        convolution, adapted = other.backbone.stages[0].embed.convs[0], model.backbone.stages[0].embed.convs[0]
        if channels in (1, 6):  # grey images give the same
            images = grey.repeat(1, 3, 1, 1), grey.repeat(1, channels, 1, 1)
            torch.testing.assert_close(adapted(images[1]), convolution(images[0]))
        assert torch.equal(model.backbone.stages[1].embed.proj.weight, other.backbone.stages[1].embed.proj.weight)
        torch.save(other.backbone.state_dict(), tmp_path / 'b.pth')
        part = backbone(in_channels=channels, init_cfg=pretrained(tmp_path / 'b.pth', adapt_input_channels=True))
        part.init_weights()
        assert torch.equal(part.state_dict()[STEM], model.backbone.state_dict()[STEM])

    def test_as_timm_does_and_the_log_says_so(self, tmp_path, monkeypatch):
        lines = []
        monkeypatch.setattr('mmseg.checkpoints.loading.print_log', lambda text, *a, **k: lines.append(text))
        other, model = segmentor(), segmentor(in_channels=4)
        fill(model, tmp_path / 'c.pth', other.state_dict(), adapt_input_channels=True)
        weight = other.backbone.state_dict()[STEM]
        expected = torch.cat([weight, weight[:, :1]], dim=1) * 3 / 4
        torch.testing.assert_close(model.backbone.state_dict()[STEM], expected)
        assert f'f.pth: backbone.{STEM} adapted from 3 input channels to 4' in lines

    def test_otherwise_refused_with_the_way_out(self, tmp_path):
        with pytest.raises(ValueError, match=r'images of 3 channels, the model for 4: .*adapt_input_channels=True'):
            fill(segmentor(in_channels=4), tmp_path / 'c.pth', segmentor().state_dict())
        with pytest.raises(ValueError, match='images of 5 channels, the model for 4: set .* in_channels=5'):
            fill(
                segmentor(in_channels=4),
                tmp_path / 'c.pth',
                segmentor(in_channels=5).state_dict(),
                adapt_input_channels=True,
            )

    def test_together_with_another_class_count(self, tmp_path):
        model, other = segmentor(in_channels=4, num_classes=7), segmentor()
        with pytest.raises(ValueError, match='adapt_input_channels'):
            fill(model, tmp_path / 'c.pth', other.state_dict(), ignore_mismatched_sizes=True)
        fill(model, tmp_path / 'c.pth', other.state_dict(), ignore_mismatched_sizes=True, adapt_input_channels=True)


class TestClassifier:
    """Weights of a model with another class count."""

    def test_is_refused_with_both_counts(self):
        with pytest.raises(ValueError, match='has 7 classes, the model 3: set decode_head.num_classes'):
            load_model_weights(segmentor(3), segmentor(7).state_dict(), source='f.pth')

    def test_of_one_score_is_told_apart_from_one_class(self):
        one = dict(num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
        head = dict(type='LRHead', channels=16, **one)
        model = MODELS.build(dict(type='EncoderDecoder', backbone=SIZES, decode_head=head))
        with pytest.raises(
            ValueError, match='one score for two classes, the model 3: set .*num_classes=2, out_channels=1'
        ):
            load_model_weights(segmentor(3), model.state_dict(), source='f.pth')

    def test_is_left_out_on_request(self):
        model, weights = segmentor(3), segmentor(7).state_dict()
        before = model.decode_head.conv_seg.weight.clone()
        load_model_weights(model, weights, source='f.pth', ignore_mismatched_sizes=True)
        assert torch.equal(model.decode_head.conv_seg.weight, before)
        assert torch.equal(model.decode_head.squeeze1.conv.weight, weights['decode_head.squeeze1.conv.weight'])

    def test_only_the_classifier_may_differ(self):
        model, weights = segmentor(3), segmentor(7).state_dict()
        weights['decode_head.squeeze1.conv.weight'] = torch.zeros(8, 68, 1, 1)
        with pytest.raises(ValueError, match=r'other shape \(1\): decode_head\.squeeze1'):
            load_model_weights(model, weights, source='f.pth', ignore_mismatched_sizes=True)
