"""An option takes effect wherever the config uses its value, or is refused."""

import textwrap
from pathlib import Path

import pytest

from mmseg.engine.launch import load_config

FOLDER = Path(__file__).parents[2] / 'configs_local' / 'lrformer'
ADE, SCENES = FOLDER / 'lrformer-t-160k_ade20k.py', FOLDER / 'lrformer-n_scenes-128x128.py'
CUSTOM, WIDE = FOLDER / 'lrformer-t_custom-dataset.py', FOLDER / 'lrformer-l-plus-in22k-160k_ade20k-640x640.py'


def write(folder, **files):
    for name, text in files.items():
        (folder / f'{name}.py').write_text(textwrap.dedent(text))
    return folder / f'{name}.py'  # the last one is the leaf


def test_a_variable_goes_wherever_the_config_takes_it():
    options = ['crop_size=(96,96)', 'num_classes=5', 'train_pipeline.2.ratio_range=(1.0,1.5)', 'image_scale=300,200']
    cfg = load_config(ADE, options)
    assert cfg.crop_size == cfg.model.data_preprocessor.size == (96, 96)
    assert cfg.model.decode_head.num_classes == 5
    resize, crop = cfg.train_dataloader.dataset.pipeline[2:4]
    assert crop.crop_size == (96, 96) and resize.ratio_range == (1.0, 1.5)
    assert resize.scale == cfg.test_dataloader.dataset.pipeline[1].scale == (300, 200)
    assert cfg.filename == str(ADE) and cfg.text == load_config(ADE).text


def test_through_several_files_that_each_build_on_the_one_before():
    cfg = load_config(WIDE, ['crop_size=96,160', 'train_pipeline.3.cat_max_ratio=0.5'])
    _, _, resize, crop, *_ = cfg.train_dataloader.dataset.pipeline
    assert crop.crop_size == cfg.model.data_preprocessor.size == (96, 160) and crop.cat_max_ratio == 0.5
    assert resize.scales[0] == 48  # half of the crop's height


def test_a_label_map_has_numbers_for_keys():
    place = 'train_dataloader.dataset.metainfo.label_map'
    cfg = load_config(CUSTOM, [f'{place}={{255: 1}}', f'{place}.254=2'])
    assert cfg.train_dataloader.dataset.metainfo.label_map == {255: 1, 254: 2}


def test_what_follows_from_class_names_follows():
    cfg = load_config(CUSTOM, ["classes=('traffic light','car')", 'dataset.img_suffix=[.jpg,.png]', 'palette=None'])
    assert cfg.model.decode_head.num_classes == 2
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.metainfo == dict(classes=('traffic light', 'car'), palette=None)
        assert loader.dataset.img_suffix == ['.jpg', '.png']


def test_one_item_of_a_tuple_and_of_a_variable_s_dict():
    assert load_config(ADE, ['crop_size.0=64']).model.data_preprocessor.size == (64, 512)
    cfg = load_config(SCENES, ['scenes.size=(64,96)', 'train_dataloader.dataset.num_scenes=7'])
    assert cfg.val_dataloader.dataset.size == (64, 96) and cfg.train_dataloader.dataset.num_scenes == 7


def test_a_text_keeps_blanks_and_commas():
    for root in ('/data/my images', '/data/rome,italy'):
        assert load_config(ADE, [f'data_root={root}']).data_root == root
        assert load_config(ADE, {'data_root': root}).data_root == root


def test_sections_that_start_as_one_are_two():
    cfg = load_config(ADE, ['val_dataloader.dataset.indices=20', 'test_evaluator.iou_metrics=mDice,mIoU'])
    assert cfg.val_dataloader.dataset.indices == 20 and 'indices' not in cfg.test_dataloader.dataset
    assert cfg.test_evaluator.iou_metrics == ['mDice', 'mIoU'] and cfg.val_evaluator.iou_metrics == ['mIoU']


def test_in_the_way_of_mmsegmentation_s_configs(tmp_path):
    """data_root in each dataset, the preprocessor and the schedule's end as variables, a base that is a placeholder."""
    leaf = write(
        tmp_path,
        base="""
            data_root = 'data/{{ fileBasenameNoExtension }}'
            norm_cfg = dict(type='SyncBN', requires_grad=True)
            data_preprocessor = dict(type='SegDataPreProcessor', size=(512, 512))
            train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000)
            param_scheduler = [dict(type='PolyLR', end=train_cfg['max_iters'])]
            train_pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5)]
            train_dataloader = dict(dataset=dict(
                type='BaseSegDataset', data_root=data_root, ann_file=f'{data_root}/train.txt',
                pipeline=train_pipeline))
            model = dict(data_preprocessor=data_preprocessor, decode_head=dict(norm_cfg=norm_cfg, num_classes=19))
            """,
        leaf="""
            _base_ = ['./base.py']
            epochs, images = 2, 100
            checkpoint = '{{$NOWHERE_TO_BE_FOUND:a.pth}}'
            train_pipeline = [dict(type='First'), *_base_.train_pipeline]
            train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
            classes = {{_base_.model.decode_head.num_classes}}
            model = dict(backbone=dict(init_cfg=dict(checkpoint=checkpoint)), auxiliary_head=dict(num_classes=classes))
            """,
    )
    cfg = load_config(leaf)
    assert cfg.data_root == 'data/base' and cfg.model.auxiliary_head.num_classes == 19
    cfg = load_config(
        leaf,
        [
            *('data_root=/data/rome,italy', "norm_cfg=dict(type='BN')", 'data_preprocessor.size=96,96'),
            *('train_cfg.max_iters=80', 'train_pipeline.2.prob=0', 'model.decode_head.num_classes=7', 'checkpoint=b'),
        ],
    )
    dataset = cfg.train_dataloader.dataset
    assert dataset.data_root == cfg.data_root == '/data/rome,italy' and dataset.ann_file == '/data/rome,italy/train.txt'
    assert cfg.model.decode_head.norm_cfg == dict(type='BN', requires_grad=True)  # a dict is merged
    assert cfg.model.data_preprocessor.size == (96, 96) and cfg.param_scheduler[0].end == 80
    assert [step.get('prob') for step in dataset.pipeline] == [None, None, 0]
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == 7
    assert cfg.model.backbone.init_cfg.checkpoint == 'b'


@pytest.mark.parametrize(
    ('config', 'option', 'instead'),
    [
        (SCENES, 'image_scale=(64,64)', 'stands at .*model.data_preprocessor.size'),
        (SCENES, 'data_root=/data', 'Nothing reads it'),
        (SCENES, 'data_preprocessor.size=9,9', 'There is model.data_preprocessor.size: set that'),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(config, option, instead):
    with pytest.raises(ValueError, match=f'--cfg-options {option.split("=")[0]}=.* would change nothing.*{instead}'):
        load_config(config, [option, 'train_cfg.max_iters=7'])


def test_of_files_that_are_no_programs_and_of_imported_ones_variables_are_refused(tmp_path):
    (tmp_path / 'a.yaml').write_text('crop_size: [8, 8]\nmodel: {size: [8, 8]}\nload_from: null\n')
    (tmp_path / 'b.py').write_text(
        'from mmseg.models import LRFormer\nwidth = 12\nmodel = dict(type=LRFormer, w=width)'
    )
    for file, option, key in (('a.yaml', 'crop_size=[9,9]', 'model.size'), ('b.py', 'width=9', 'model.w')):
        with pytest.raises(ValueError, match=f'stands at {key}'):
            load_config(tmp_path / file, [option])
    assert load_config(tmp_path / 'a.yaml', ['model.size=9,9', 'load_from=a,b.pth']).model.size == [9, 9]
    assert load_config(tmp_path / 'b.py', ['model.w=9']).model.w == 9


def test_an_option_that_says_what_is_so_already_is_none():
    assert load_config(SCENES, ['image_scale=(128,128)']).image_scale == (128, 128)


def test_the_pipeline_of_single_images_is_read_where_there_is_no_test_set(tmp_path):
    (tmp_path / 'a.yaml').write_text('test_pipeline: [{type: Resize, scale: 8}]')
    assert load_config(tmp_path / 'a.yaml', ['test_pipeline.0.scale=9']).test_pipeline[0].scale == 9


def test_the_nearer_option_counts():
    for options in (
        ['num_classes=5', 'model.decode_head.num_classes=7'],
        ['model.decode_head.num_classes=7', 'num_classes=5'],
    ):
        assert load_config(ADE, options).model.decode_head.num_classes == 7


@pytest.mark.parametrize(
    ('option', 'error', 'message'),
    [
        ('tensorboard', ValueError, 'write KEY=VALUE'),
        ('model.=1', ValueError, 'write KEY=VALUE'),
        ('custom_hooks.0.type=EMAHook', KeyError, "no list 'custom_hooks' that could have a position 0"),
        ('runner.max_iters=9', KeyError, "has no 'runner', did you mean 'train_cfg.max_iters'"),
        ('norm_cfg.type=BN', KeyError, "has no 'norm_cfg', did you mean 'model.decode_head.norm_cfg.type'"),
        ('train_pipeline.9.prob=1', KeyError, "train_pipeline.9.prob: '9' is no position in a list of 7"),
        ('train_cfg.max_iters.x=1', TypeError, "train_cfg.max_iters.x: 160000 has no 'x' in it"),
        ('val_evaluator.iou_metrics=[mIoU', ValueError, 'do not match'),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(option, error, message):
    with pytest.raises(error, match=f'--cfg-options .*{message}'):
        load_config(ADE, [option])
