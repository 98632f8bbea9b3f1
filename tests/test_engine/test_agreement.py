"""What contradicts itself is found before the first iteration; what agrees starts."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, ConcatDataset, RepeatDataset
from mmengine.registry import DefaultScope
from mmengine.runner import BaseLoop
from torch import nn
from torch.utils.data import Dataset, Subset

from mmseg.engine import SeededSamples
from mmseg.engine.config.agreement import check_agreement
from mmseg.engine.config.keys import check_names
from mmseg.engine.launch import load_config, train
from mmseg.engine.runner import hand_down_data_root
from mmseg.models import LRFormer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmseg.visualization import SegLocalVisualizer

FOLDER = Path(__file__).parents[2] / 'configs_local' / 'lrformer'
CAMVID, SCENES = 'lrformer-t-40k_camvid-360x480', 'lrformer-n_scenes-128x128'
TWO_CLASSES = {f'{split}_dataloader.dataset.metainfo.classes': ('sky', 'car') for split in ('train', 'val', 'test')}
FCN = dict(type='AgreeingHead', in_channels=64, channels=8, in_index=1)


@MODELS.register_module()
class AgreeingHead(BaseDecodeHead):
    def forward(self, inputs):
        return self.cls_seg(inputs)


@MODELS.register_module()
class EdgeHead(AgreeingHead):
    """Learns something else than the label map."""

    def loss_by_feat(self, seg_logits, batch_data_samples):
        return {}


@TRANSFORMS.register_module()
class AddDepth:
    def __call__(self, results):
        return results


class Loop(BaseLoop):
    def __init__(self, dataset, metrics=()):
        self.dataloader, self.evaluator = SimpleNamespace(dataset=dataset), SimpleNamespace(metrics=list(metrics))

    def run(self):
        pass


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build_dataset(cfg, root):
    lazy = {} if cfg['type'] == 'SceneDataset' else dict(lazy_init=True)
    return DATASETS.build({**hand_down_data_root(cfg, root), **lazy})


def runner_of(name, options=(), wrap=lambda dataset: dataset):
    """What a runner has when it begins, without files."""
    cfg = load_config(FOLDER / f'{name}.py', {**dict(options), 'model.backbone.variant': 'n'})  # the quickest to build
    root = cfg.get('data_root')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    train_set = SeededSamples(wrap(build_dataset(cfg.train_dataloader.dataset, root)))
    val, test = (
        Loop(build_dataset(cfg[f'{split}_dataloader'].dataset, root), [METRICS.build(cfg[f'{split}_evaluator'])])
        for split in ('val', 'test')
    )
    return SimpleNamespace(
        model=model,
        cfg=cfg,
        visualizer=SegLocalVisualizer(),
        _train_loop=Loop(train_set),
        _val_loop=val,
        _test_loop=test,
    )


@pytest.mark.parametrize('name', sorted(path.stem for path in FOLDER.glob('*.py')))
def test_every_shipped_config_agrees_with_itself(name):
    runner = runner_of(name)
    check_agreement(runner)
    check_names(runner.cfg)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        # classes
        ({'model.decode_head.num_classes': 3}, r'num_classes is 3, but train_dataloader.dataset \(CamVid\w+\) has 11. '
                                               'Set model.decode_head.num_classes=11'),
        ({'model.decode_head.num_classes': 19}, 'num_classes is 19, but .* has 11'),
        ({'model.auxiliary_head': {**FCN, 'num_classes': 12}}, 'model.auxiliary_head.num_classes is 12'),
        ({'model.auxiliary_head': [{**FCN, 'num_classes': 11}, {**FCN, 'num_classes': 2}]}, 'auxiliary_head.1.num_cl'),
        ({'val_dataloader.dataset.metainfo': dict(classes=('car', 'sky'))}, r'val_dataloader.dataset \(.*\) has 2'),
        ({'test_dataloader.dataset.metainfo': dict(classes=('car', 'sky'))}, r'test_dataloader.dataset \(.*\) has 2'),
        ({'model.decode_head.loss_decode.class_weight': [1.0] * 10}, 'loss_decode.class_weight has 10 numbers'),
        ({'model.decode_head.loss_decode': [dict(type='CrossEntropyLoss'), dict(type='CrossEntropyLoss',
          class_weight=[1.0])]}, 'loss_decode.1.class_weight has 1 numbers'),
        # the ignored label
        ({'train_dataloader.dataset.ignore_index': 0}, 'model.decode_head.ignore_index=0, model.data_preprocessor.seg_'
         'pad_val=0, train_dataloader.dataset.pipeline.3.ignore_index=0'),
        ({'model.decode_head.ignore_index': 254}, 'Set model.decode_head.ignore_index=255'),
        ({'model.data_preprocessor.seg_pad_val': 0}, 'Set model.data_preprocessor.seg_pad_val=255'),
        ({'val_evaluator.ignore_index': 0}, 'Set val_evaluator.ignore_index=255'),
        ({'test_dataloader.dataset.ignore_index': 11}, 'Set test_evaluator.ignore_index=11'),
        ({'train_pipeline.4': dict(_delete_=True, type='RandomRotate', prob=0.5, degree=9, seg_pad_val=0)},
         r'pipeline.4.seg_pad_val=255'),
        ({'train_pipeline.4': dict(_delete_=True, type='RandomApply', transforms=[dict(type='RandomRotate', prob=0.5,
          degree=9, seg_pad_val=0)])}, r'pipeline.4.transforms.0.seg_pad_val=255'),
        ({'train_pipeline.4': dict(_delete_=True, type='Pad', size=(9, 9), pad_val=dict(img=0, seg=0))},
         r'pipeline.4.pad_val.seg=255'),
        # channels
        ({'train_pipeline.0.color_type': 'grayscale'}, r'in_channels is 3.*dataset.pipeline.0 loads is 1'),
        ({'model.backbone.in_channels': 4}, r'in_channels is 4, the length of .*mean is 3.*loads is 3'),
        ({'model.data_preprocessor.mean': [0.0] * 4, 'model.data_preprocessor.std': [1.0] * 4}, 'mean is 4'),
    ],
)  # fmt: skip
def test_contradictions_are_named_with_both_sides_and_what_to_write(options, message):
    with pytest.raises(ValueError, match=f'the config contradicts itself:(?s:.)*{message}'):
        check_agreement(runner_of(CAMVID, options))


def test_all_of_them_are_said_at_once():
    options = {'model.decode_head.num_classes': 3, 'val_evaluator.ignore_index': 0, 'model.backbone.in_channels': 1}
    with pytest.raises(ValueError) as error:
        check_agreement(runner_of(CAMVID, options))
    assert [line.split(':')[0] for line in str(error.value).splitlines()[1:]] == [
        *('- classes', '- ignored label', '- image channels')
    ]


@pytest.mark.parametrize(
    'options',
    [
        {'model.auxiliary_head': [{**FCN, 'type': 'EdgeHead', 'num_classes': 2, 'ignore_index': 9}]},
        {**TWO_CLASSES, 'model.decode_head.num_classes': 2, 'model.decode_head.loss_decode.class_weight': [1, 2]},
        {**TWO_CLASSES, 'model.decode_head.num_classes': 2, 'model.decode_head.out_channels': 1,
         'model.decode_head.loss_decode': dict(use_sigmoid=True, class_weight=[3.0])},
        {**TWO_CLASSES, 'model.decode_head.num_classes': 2, 'model.decode_head.out_channels': 1,
         'model.decode_head.loss_decode': dict(use_sigmoid=True, class_weight=[1.0, 3.0])},
        {'train_dataloader.dataset.reduce_zero_label': True},
        {'train_dataloader.dataset.metainfo': dict(label_map={12: -1, 13: 0})},
        {'train_pipeline.3.ignore_index': 9, 'train_pipeline.3.cat_max_ratio': 1.0},  # the crop heeds no labels
        {'model.auxiliary_head': {**FCN, 'type': 'EdgeHead', 'num_classes': 2}},
        {'train_pipeline.5': dict(_delete_=True, type='AddDepth'), 'model.backbone.in_channels': 4,
         'model.data_preprocessor.mean': [0.0] * 4, 'model.data_preprocessor.std': [1.0] * 4,
         'test_pipeline.1': dict(_delete_=True, type='AddDepth')},
        {'model.data_preprocessor': dict(_delete_=True, type='BaseDataPreprocessor')},
    ],
)  # fmt: skip
def test_what_does_not_contradict_itself_is_left_alone(options):
    check_agreement(runner_of(CAMVID, options))


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: RepeatDataset(dataset, times=2, lazy_init=True),
        lambda dataset: ConcatDataset([dataset, dataset], lazy_init=True),
        lambda dataset: Subset(ConcatDataset([dataset], lazy_init=True), [0]),
    ],
)
def test_datasets_inside_of_wrappers_are_looked_into(wrap):
    check_agreement(runner_of(CAMVID, wrap=wrap))
    with pytest.raises(ValueError, match=r'train_dataloader.dataset(.dataset|.datasets.0)+.ignore_index is 3'):
        check_agreement(runner_of(CAMVID, {'train_dataloader.dataset.ignore_index': 3}, wrap))


def test_a_wrapper_s_own_pipeline_counts():
    class Mixed(RepeatDataset):
        pipeline = Compose([dict(type='RandomRotate', prob=1, degree=9, seg_pad_val=0)])

    with pytest.raises(ValueError, match=r'Set train_dataloader.dataset.pipeline.0.seg_pad_val=255'):
        check_agreement(runner_of(CAMVID, wrap=lambda dataset: Mixed(dataset, times=2, lazy_init=True)))


def test_classes_in_another_order_and_colours_of_the_visualizer():
    runner = runner_of(CAMVID)
    classes = runner._val_loop.dataloader.dataset.metainfo['classes']
    runner = runner_of(CAMVID, {'val_dataloader.dataset.metainfo': dict(classes=classes[::-1])})
    with pytest.raises(
        ValueError, match='val_dataloader.dataset has those of train_dataloader.dataset in another order'
    ):
        check_agreement(runner)
    runner = runner_of(CAMVID)
    runner.visualizer = SegLocalVisualizer(palette=np.zeros((3, 3), int))
    with pytest.raises(ValueError, match='visualizer.palette has 3, .* has 11 classes'):
        check_agreement(runner)


class Bare(Dataset):
    def __len__(self):
        return 1


def test_objects_of_users_that_say_nothing_are_not_asked():
    model = nn.Module()
    model.decode_head, model.backbone = nn.Conv2d(1, 2, 3), nn.Sequential()
    runner = SimpleNamespace(
        model=model, cfg=Config(), visualizer=None, _train_loop=Loop(Bare()), _val_loop=Loop(Bare(), [object()]),
        _test_loop=dict(type='TestLoop'),
    )  # fmt: skip
    check_agreement(runner)


def test_channels_of_files_that_are_loaded_as_they_are(tmp_path):
    for folder, shape in (('images', (8, 8, 4)), ('labels', (8, 8))):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / 'a.png'), np.zeros(shape, np.uint8))
    dataset = DATASETS.build(
        dict(
            type='BaseSegDataset', data_root=str(tmp_path), metainfo=dict(classes=('a', 'b')), img_suffix='.png',
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=[dict(type='LoadImageFromFile', color_type='unchanged'), dict(type='PackSegInputs')],
        )
    )  # fmt: skip
    model = nn.Module()
    for channels in (4, 3):
        model.backbone = LRFormer('n', in_channels=channels)
        cfg = Config(dict(model=dict(backbone=dict(type='LRFormer', in_channels=channels))))
        runner = SimpleNamespace(
            model=model, cfg=cfg, visualizer=None, _train_loop=Loop(dataset), _val_loop=None, _test_loop=None
        )
        if channels == 4:
            check_agreement(runner)
        else:
            with pytest.raises(ValueError, match="loads is 4 .*'unchanged', by .*a.png"):
                check_agreement(runner)


def test_a_run_stops_before_its_first_iteration(tmp_path):
    options = {'model.decode_head.num_classes': 3, 'train_dataloader.num_workers': 0}
    cfg = load_config(FOLDER / f'{SCENES}.py', options, str(tmp_path))
    with pytest.raises(ValueError, match=r'num_classes is 3, but train_dataloader.dataset \(SceneDataset\) has 8'):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))
