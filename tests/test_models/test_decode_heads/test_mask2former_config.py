"""mmdet's spelling of Mask2Former builds the head that our own spelling does, or says what is not here."""

import pytest
from mmengine.config import Config

from mmseg.models import Mask2FormerHead
from mmseg.registry import MODELS

from ... import upstream_configs


def mmdet_head() -> dict:
    return upstream_configs.TINY['mask2former']()['decode_head']


def put(cfg: dict, path: str, value) -> dict:
    *parents, last = path.split('.')
    part = cfg
    for name in parents:
        part = part[int(name) if name.isdigit() else name]
    part[last] = value
    return cfg


def test_it_is_the_same_head():
    theirs = MODELS.build(mmdet_head())
    ours = Mask2FormerHead(
        [8, 16, 32, 64],
        num_classes=150,
        feat_channels=32,
        num_encoder_layers=1,
        num_decoder_layers=2,
        encoder_ffn_channels=128,
        decoder_ffn_channels=256,
        loss_decode=dict(type='Mask2FormerLoss', num_points=64),
    )
    assert str(theirs) == str(ours)
    public = {key: value for key, value in vars(ours.loss_decode).items() if not key.startswith('_')}
    assert public == {key: value for key, value in vars(theirs.loss_decode).items() if not key.startswith('_')}


def test_weights_of_losses_and_points_arrive():
    cfg = put(mmdet_head(), 'loss_mask.loss_weight', 3.0)
    put(cfg, 'train_cfg.assigner.match_costs.1.weight', 3.0)
    put(cfg, 'loss_cls.class_weight', [1.0] * 150 + [0.2])
    loss = MODELS.build(put(cfg, 'train_cfg.oversample_ratio', 2.0)).loss_decode
    assert (loss.class_weight, loss.mask_weight, loss.no_object_weight, loss.oversample_ratio) == (2.0, 3.0, 0.2, 2.0)


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        ('pixel_decoder.type', 'mmdet.PixelDecoder', "pixel_decoder of type 'PixelDecoder' is not here; MSDeformAttn"),
        ('pixel_decoder.num_outs', 4, 'pixel_decoder.num_outs=4 is not here; the published is 3'),
        ('pixel_decoder.norm_cfg', dict(type='BN'), 'pixel_decoder.norm_cfg=.*BN.* is not here'),
        ('pixel_decoder.encoder.transformerlayers', {}, 'encoder.transformerlayers is of mmdet 2; write'),
        ('pixel_decoder.encoder.layer_cfg.ffn_cfg.ffn_drop', 0.1, 'ffn_cfg.ffn_drop=0.1 is not here'),
        ('transformer_decoder.type', 'DetrTransformerDecoder', 'transformer_decoder.type is of mmdet 2'),
        ('transformer_decoder.layer_cfg.cross_attn_cfg', dict(num_heads=4), 'cross_attn_cfg.num_heads=4 is not here'),
        ('positional_encoding.type', 'mmdet.LearnedPositionalEncoding', 'SinePositionalEncoding is'),
        ('enforce_decoder_input_project', True, 'enforce_decoder_input_project=True is not here'),
        ('loss_dice.naive_dice', False, 'loss_dice.naive_dice=False is not here'),
        ('loss_cls.class_weight', [2.0] * 150 + [0.1], 'loss_cls.class_weight must be 1 for each of 150 classes'),
        ('train_cfg.assigner.match_costs.0.weight', 1.0, r'match_costs\[0\].weight=1.0 is not here'),
        ('train_cfg.sampler.type', 'mmdet.RandomSampler', 'MaskPseudoSampler is'),
        ('train_cfg.number_of_points', 100, "train_cfg has an unknown key 'number_of_points'"),
        ('pixel_encoder', {}, "unknown key 'pixel_encoder'"),
    ],
)
def test_what_is_not_here_is_named(path, value, message):
    with pytest.raises(TypeError, match=message) as error:
        MODELS.build(put(mmdet_head(), path, value))
    assert '\n' not in str(error.value)


def test_a_config_may_import_mmdet_that_is_not_installed(tmp_path):
    file = tmp_path / 'mask2former.py'
    file.write_text("custom_imports = dict(imports='mmdet.models', allow_failed_imports=False)\nnumber = 1\n")
    assert Config.fromfile(file).number == 1
    file.write_text("custom_imports = dict(imports=['mmdet.models', 'no_such_module'], allow_failed_imports=False)\n")
    with pytest.raises(ImportError, match='no_such_module'):
        Config.fromfile(file)
