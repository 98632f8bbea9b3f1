"""class_weight='auto': counted in the training set, put into every loss that asks for it."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmseg.datasets import ClassBalancedDataset, ConcatDataset, MultiImageMixDataset, RepeatDataset, class_weights
from mmseg.engine import SegRunner
from mmseg.models.losses import CrossEntropyLoss, FocalLoss, LovaszLoss, OhemCrossEntropy, TverskyLoss
from mmseg.registry import DATASETS

from ..test_models.test_segmentor import TINY
from .toy import toy_config

COUNTS = [[90, 8, 2, 0], [50, 0, 30, 20]]  # pixels of three classes in two images, and ignored ones


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for name in ('img', 'ann'):
        (tmp_path / name).mkdir()
    for i, counts in enumerate(COUNTS):
        labels = np.repeat(np.array([0, 1, 2, 255], np.uint8), counts).reshape(10, 10)
        cv2.imwrite(str(tmp_path / f'ann/{i}.png'), labels)
        cv2.imwrite(str(tmp_path / f'img/{i}.jpg'), np.zeros((10, 10, 3), np.uint8))
    return dict(
        type='BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        metainfo=dict(classes=('a', 'b', 'c', 'never')),
    )


def normalised(raw, pixels):
    mean = sum(w * n for w, n in zip(raw, pixels, strict=True)) / sum(pixels)
    return [*(w / mean for w in raw), 1.0]


def test_formulas(folder):
    dataset = DATASETS.build(folder)
    pixels = [140, 8, 32]
    expected = normalised([1 / math.sqrt(n / 180) for n in pixels], pixels)
    assert class_weights(dataset) == class_weights(dataset, 'auto') == pytest.approx(expected, abs=1e-4)
    shares = [140 / 180, 8 / 100, 32 / 180]  # of the pixels of images that have the class
    expected = normalised([sorted(shares)[1] / share for share in shares], pixels)
    assert class_weights(dataset, 'median_frequency') == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="'auto' or 'inverse_sqrt'"):
        class_weights(dataset, 'inverse')


def test_wrappers_count_what_they_give(folder):
    dataset = DATASETS.build(folder)
    plain = class_weights(dataset)
    for wrapped in (RepeatDataset(dataset, 3), ConcatDataset([dataset, dataset]), MultiImageMixDataset(dataset, [])):
        assert class_weights(wrapped) == plain
    # b is in one image of two, which then occurs twice
    balanced = ClassBalancedDataset(dataset, oversample_thr=0.9)
    assert [sum(image.get(i, 0) for image in balanced.class_pixels()) for i in range(3)] == [
        sum(COUNTS[k][i] for k in balanced.repeat_indices) for i in range(3)
    ]


LOSSES = (CrossEntropyLoss, FocalLoss, LovaszLoss, OhemCrossEntropy, TverskyLoss)


@pytest.mark.parametrize('kind', LOSSES)
def test_a_loss_that_nobody_counted_for_says_so(kind):
    with pytest.raises(ValueError, match=r'counted in the training set .*class_weights\(dataset\)'):
        kind(class_weight='auto')(torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64))


class Weights(Hook):
    def before_train(self, runner):
        self.found = {
            name: module.class_weight
            for name, module in runner.model.named_modules()
            if getattr(module, 'class_weight', None) is not None
        }


def test_a_run_counts_once_logs_and_validates_alike(tmp_path, folder):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    mixed = dict(
        type='MultiImageMixDataset',
        dataset={**folder, 'pipeline': pipeline},
        pipeline=[dict(type='ClassMix', prob=0.5), dict(type='PackSegInputs')],
    )
    ce, ohem = dict(type='CrossEntropyLoss', class_weight='auto'), dict(type='OhemCrossEntropy', class_weight='auto')
    head = dict(type='LRHead', channels=16, q_pooled_size=4, num_classes=4, loss_decode=[ce, ohem])
    aux = dict(type='FCNHead', in_index=2, channels=8, num_convs=1, num_classes=4)
    aux['loss_decode'] = dict(type='CrossEntropyLoss', class_weight='median_frequency')
    cfg = toy_config(
        tmp_path / 'run',
        model=dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size=(32, 32), test_cfg=dict(size_divisor=32)),
            backbone=TINY,
            decode_head=head,
            auxiliary_head=aux,  # deep supervision
            test_cfg=dict(return_scores=True),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2),
        val_evaluator=[dict(type='IoUMetric'), dict(type='LossMetric', loss_decode=[ce])],
    )
    cfg['train_dataloader'].update(dataset=mixed)
    val_set = {**folder, 'pipeline': [*pipeline, dict(type='PackSegInputs')]}
    cfg['val_dataloader'] = {**cfg['val_dataloader'], 'dataset': val_set}
    cfg['default_hooks']['checkpoint'] = dict(type='CheckpointHook', save_best='loss')
    runner, hook = SegRunner.from_cfg(Config(cfg)), Weights()
    runner.register_hook(hook)
    runner.train()
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    expected = class_weights(DATASETS.build(folder))
    assert hook.found == {
        'decode_head.loss_decode.0': expected,
        'decode_head.loss_decode.1': expected,
        'auxiliary_head.loss_decode': class_weights(DATASETS.build(folder), 'median_frequency'),
    }
    assert log.count('class weights by inverse_sqrt, of the pixels of 2 images: a ') == 1
    scalars = runner.message_hub.log_scalars
    assert {'train/aux.loss_ce', 'train/decode.loss_ohem', 'val/loss_ce', 'val/mIoU'} <= set(scalars)
    assert list((tmp_path / 'run').glob('best_loss_iter_2.pth'))
