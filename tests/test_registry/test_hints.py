"""An argument that a class does not take is refused with what to write instead."""

import inspect

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import get_object_from_string
from torch import nn

from mmseg.engine.launch import train
from mmseg.models import LRFormer
from mmseg.models.decode_heads import LRHead
from mmseg.registry import DATASETS, LOOPS, METRICS, MODELS, OPTIMIZERS, TRANSFORMS
from mmseg.registry.hints import INSTEAD, UnknownKeyError, accepted_arguments

from ..test_engine.toy import toy_config

HEAD = dict(type='LRHead', in_channels=[64, 2, 3], channels=64, num_classes=3)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.mark.parametrize(
    ('registry', 'cfg', 'message'),
    [
        (MODELS, dict(HEAD, concat_input=False), "LRHead: unknown key 'concat_input'; leave it out: .*FCNHead"),
        (MODELS, dict(HEAD, input_transform='multiple_select'), "'input_transform'; .*LRHead sets it itself"),
        (MODELS, dict(HEAD, num_class=3), "LRHead: unknown key 'num_class'; did you mean 'num_classes'"),
        (MODELS, dict(HEAD, xyz=3), "LRHead: unknown key 'xyz'; it takes in_channels, channels, .*num_classes"),
        (MODELS, dict(type='LRFormer', variant='n', pretrained='x'), "'pretrained'; write init_cfg=dict"),
        (MODELS, dict(type=LRFormer, varient='n'), "LRFormer: unknown key 'varient'; did you mean 'variant'"),
        (MODELS, dict(type='LRFormer', checkpoint='x'), "LRFormer: unknown key 'checkpoint'; write init_cfg"),
        (MODELS, dict(type='Mask2FormerHead', in_channels=[9] * 4, num_classes=3, sampler=1), 'oversample_ratio'),
        (MODELS, dict(type='SwinTransformer', ape=True), "SwinTransformer: unknown key 'ape'; write use_abs_pos_embed"),
        (MODELS, dict(type='SegformerHead', decoder_params={}), 'write channels=256 instead'),
        (MODELS, dict(type='CrossEntropyLoss', ignore_index=3), 'write it into the decode head'),
        (MODELS, dict(type='SegDataPreProcessor', pad_size_divisor=3), 'write size_divisor instead'),
        (MODELS, dict(type='EncoderDecoder', backbone=dict(type='LRFormer', variant='n'),
                      decode_head=dict(type='LRHead', num_classes=3, concat_input=1)), "LRHead: unknown key 'concat_"),
        (DATASETS, dict(type='ADE20KDataset', img_dir='x'), "ADE20KDataset: unknown key 'img_dir'; write data_prefix"),
        (TRANSFORMS, dict(type='RandomFlip', flip_ratio=0.5), 'RandomFlip: .*write prob instead'),
        (TRANSFORMS, dict(type='Resize', img_scale=(1, 1)), 'write scale='),
        (METRICS, dict(type='IoUMetric', metric='mIoU'), 'write iou_metrics='),
        (OPTIMIZERS, dict(type='AdamW', params=[], lrr=3), "AdamW: unknown key 'lrr'; did you mean 'lr'"),
        (LOOPS, dict(type='ValLoop', x=1), 'ValLoop: .* it takes runner, dataloader, evaluator'),
    ],
)  # fmt: skip
def test_what_to_write_is_said(registry, cfg, message):
    with pytest.raises(TypeError, match=message):
        registry.build(cfg)


def test_advice_is_about_what_there_is():
    """The classes exist, and do not take the key that the advice is about."""
    for name, advice in INSTEAD.items():
        kind = MODELS.get(name) or DATASETS.get(name) or TRANSFORMS.get(name) or METRICS.get(name)
        kind = kind or get_object_from_string(f'mmseg.models.decode_heads.decode_head.{name}')
        assert inspect.isclass(kind), name
        assert not set(advice) & set(accepted_arguments(kind)), name


def test_arguments_are_followed_through_parents():
    assert {'q_pooled_size', 'num_classes', 'align_corners'} <= set(accepted_arguments(LRHead))
    assert accepted_arguments(lambda a, *b, c=1, **d: None) == ['a', 'c']


@MODELS.register_module()
class Broken(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        size + None


def test_other_errors_stay_as_they_are():
    with pytest.raises(TypeError, match='unsupported operand') as error:
        MODELS.build(dict(type='Broken', size=1))
    assert not isinstance(error.value, UnknownKeyError)
    with pytest.raises(TypeError, match='missing 1 required'):
        MODELS.build(dict(type='Broken'))


@pytest.mark.parametrize(
    ('key', 'kind', 'message'),
    [
        (
            'default_hooks.logger',
            None,
            "default_hooks.logger: LoggerHook: unknown key 'intervall'; did you mean 'interval'",
        ),
        ('train_cfg', None, "train_cfg: IterBasedTrainLoop: unknown key 'intervall'"),
        ('val_dataloader.dataset', None, "val_dataloader.dataset: ToyDataset: unknown key 'intervall'"),
        ('visualizer', 'SegLocalVisualizer', "visualizer: SegLocalVisualizer: unknown key 'intervall'"),
    ],
)
def test_a_run_says_where_in_its_config_the_key_stands(tmp_path, key, kind, message):
    """Whoever builds it, mmengine's registries as well as ours."""
    cfg = Config(toy_config(tmp_path))
    cfg.merge_from_dict({f'{key}.intervall': 1, **({f'{key}.type': kind} if kind else {})})
    with pytest.raises(UnknownKeyError, match=message):
        train(cfg)
