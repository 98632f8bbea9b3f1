"""Names that an iteration would ask for, or nothing at all, are checked before the first one."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg.engine import SegRunner
from mmseg.engine.config.keys import check_names
from mmseg.engine.launch import load_config, train

from .toy import toy_config

FOLDER = Path(__file__).parents[2] / 'configs_local' / 'lrformer'
IN_DATASET = 'train_dataloader.dataset.datasets.0.metainfo'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('env_cfg.cudnn_bench', True, "env_cfg has no 'cudnn_bench', did you mean 'cudnn_benchmark'"),
        ('env_cfg.mp_cfg.opencv_threads', 0, "env_cfg.mp_cfg has no 'opencv_threads', did you mean 'opencv_num_th"),
        ('env_cfg.dist_cfg.time_out', 9, "did you mean 'timeout'"),
        ('auto_scale_lr.enabel', True, "did you mean 'enable'"),
        ('randomness.sead', 1, "randomness has no 'sead', did you mean 'seed'"),
        ('train_dataloader.batchsize', 4, "train_dataloader has no 'batchsize', did you mean 'batch_size'"),
        ('val_dataloader.num_worker', 4, "val_dataloader has no 'num_worker'"),
        ('test_dataloader.xyz', 4, "test_dataloader has no 'xyz'; its keys are batch_sampler, batch_size"),
        ('optim_wrapper.clip_grad', dict(max_nrom=1.0), "optim_wrapper.clip_grad has no 'max_nrom'"),
        ('optim_wrapper.clip_grad', dict(type='value', max_norm=1.0), "clip_grad has no 'max_norm'"),
        ('default_hooks.loger', dict(interval=1), "default_hooks.loger states no type, did you mean 'logger'"),
        ('default_hooks.chekpoint', dict(type='CheckpointHook'), 'default_hooks.chekpoint .* did you mean .checkpoint'),
        ('log_processor.custom_cfg', [dict(data_src='loss', method_name='man')], 'custom_cfg.0.method_name=.man'),
        ('log_processor.custom_cfg', [dict(data_src='loss', window_size='globl')], 'custom_cfg.0.window_size=.globl'),
        (IN_DATASET, dict(clases=('a',)), f"{IN_DATASET} has 'clases', .* did you mean 'classes'"),
        ('load_form', 'a.pth', "nothing reads 'load_form', did you mean 'load_from'"),
        ('custom_hook', [dict(type='EMAHook')], "nothing reads 'custom_hook', did you mean 'custom_hooks'"),
        ('lr_config', dict(policy='poly'), "'lr_config' is of mmsegmentation 0.x; write param_scheduler instead"),
        ('data', dict(samples_per_gpu=4), "'data' is of mmsegmentation 0.x; write train_dataloader, val_data"),
        ('tensorbord', True, "did you mean 'tensorboard'"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(tmp_path, key, value, message):
    cfg = Config(toy_config(tmp_path))
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[cfg.train_dataloader.dataset])
    if '.datasets.' in key:
        cfg.train_dataloader.dataset.datasets[0].metainfo = value
    else:
        cfg.merge_from_dict({key: value})
    with pytest.raises(KeyError, match=message):
        SegRunner.from_cfg(cfg)


def test_variables_that_something_takes_up_may_be_called_so(tmp_path):
    hook = dict(type='EMAHook')
    changes = dict(custom_hook=hook, custom_hooks=[hook], val_dataloader_2=dict(a=1), base_optim_wrapper=dict(b=1))
    check_names(Config(toy_config(tmp_path, **changes)))


@pytest.mark.parametrize(
    ('rules', 'message'),
    [
        (dict(custom_keys={'backbnoe': dict(lr_mult=0.1)}), "has 'backbnoe' in its name, did you mean 'backbone'"),
        (
            dict(custom_keys={'backbone': dict(lr_mul=0.1)}),
            "custom_keys.backbone has no 'lr_mul', did you mean 'lr_mult'",
        ),
        (dict(norm_decay=0.0), "paramwise_cfg has no 'norm_decay', did you mean 'norm_decay_mult'"),
    ],
)
def test_rules_that_meet_no_parameter_stop_training(tmp_path, rules, message):
    cfg = toy_config(tmp_path)
    cfg['optim_wrapper']['paramwise_cfg'] = rules
    with pytest.raises(KeyError, match=message):
        train(Config(cfg))
    cfg['optim_wrapper']['paramwise_cfg'] = dict(custom_keys={'backbone': dict(lr_mult=0.1)})
    assert train(Config(cfg)).iter == 6


def test_a_schedule_that_waits_for_a_metric_that_is_not_measured_stops_training(tmp_path):
    cfg = Config(toy_config(tmp_path))
    cfg.val_evaluator = dict(type='IoUMetric')
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
    cfg.param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIuO', rule='greater')]
    with pytest.raises(ValueError, match="param_scheduler.0.monitor='mIuO' is no metric .* did you mean 'mIoU'"):
        train(cfg)


def test_a_test_that_follows_training_is_looked_at_before(tmp_path):
    cfg = Config(toy_config(tmp_path, test_after_train=True))
    cfg.test_evaluator = dict(type='IoUMetric', iou_metrics=['mIuO'])
    with pytest.raises(ValueError, match='mIuO'):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


def test_a_train_cfg_that_no_head_reads_is_refused(tmp_path):
    options = {'model.train_cfg.sampler': None, 'train_dataloader.num_workers': 0}
    cfg = load_config(FOLDER / 'lrformer-n_scenes-128x128.py', options, str(tmp_path))
    with pytest.raises(KeyError, match='model.train_cfg: no head of this model reads sampler'):
        train(cfg)
