"""Test-time augmentation, from the flag to the numbers."""

import pytest
import torch
from mmengine.config import Config

from mmseg.engine import launch
from mmseg.engine.config.tta import tta_pipeline, use_tta
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from .test_launch import run

SCENES = """
default_scope = 'mmseg'
env_cfg = dict(mp_cfg=dict(opencv_num_threads=0))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3),
    backbone=dict(type='LRFormer', embed_dims=(8, 16, 20, 32), depths=(1, 1, 1, 1), q_pooled_sizes=(4, 4, 4, 4)),
    decode_head=dict(type='LRHead', channels=16, q_pooled_size=4, num_classes=8),
)
scenes = dict(type='SceneDataset', split='test', size=(64, 64), num_scenes=5, pipeline=[dict(type='PackSegInputs')])
test_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=scenes)
test_evaluator = dict(type='IoUMetric')
test_cfg = dict()
visualizer = dict(type='SegLocalVisualizer', vis_backends=[])
"""


@pytest.fixture
def scenes(tmp_path):
    """A config and the weights of a model that nobody trained."""
    register_all_modules()
    (tmp_path / 'scenes.py').write_text(SCENES)
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(tmp_path / 'scenes.py').model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    return tmp_path


def test_two_processes_give_the_numbers_of_one(scenes):
    """The weights of the plain model load; pictures are drawn of images without files."""
    config, weights, pictures = scenes / 'scenes.py', str(scenes / 'weights.pth'), scenes / 'pictures'
    cfg = launch.load_config(config, work_dir=str(scenes / 'one'))
    metrics = launch.test(cfg, weights, tta=True, show_dir=str(pictures))
    assert len(list(pictures.glob('*.png'))) == 5
    result = run('dist_test.sh', config, weights, 2, '--tta', '--work-dir', scenes / 'two')
    assert result.returncode == 0, result.stdout + result.stderr
    assert f'mIoU: {metrics["mIoU"]:.4f}' in result.stdout
    plain = launch.test(launch.load_config(config, work_dir=str(scenes / 'one')), weights)
    assert metrics != plain


STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='AlignResize', scale=(2048, 512), size_divisor=32),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]


def test_views_follow_from_the_test_pipeline():
    load, views = tta_pipeline(STEPS)
    sizes, flips, *rest = views['transforms']
    assert load == STEPS[0] and rest == [[STEPS[2]], [STEPS[3]]]
    assert [step['scale'] for step in sizes][::2] == [(1024, 256), (2048, 512), (3072, 768)]
    assert len(sizes) == 6 and sizes[-1] == dict(type='AlignResize', scale=(3584, 896), size_divisor=32)
    assert [step['prob'] for step in flips] == [0, 1]


@pytest.mark.parametrize(
    ('step', 'largest'),
    [
        (dict(type='Resize', scale_factor=2.0, keep_ratio=True), dict(scale_factor=3.5)),
        (dict(type='mmseg.AlignResize', scale_factor=(1.0, 0.5)), dict(scale_factor=(1.75, 0.875))),
        (dict(type='ResizeShortestEdge', scale=512, max_size=2048), dict(scale=896, max_size=3584)),
        (None, dict(scale_factor=1.75)),
    ],
)
def test_other_ways_to_resize(step, largest):
    *_, views = tta_pipeline([STEPS[0], *([step] if step else []), *STEPS[2:]])
    assert largest.items() <= views['transforms'][0][-1].items()
    assert [part[0]['type'] for part in views['transforms'][2:]] == ['LoadAnnotations', 'PackSegInputs']


def test_a_pipeline_of_several_resizes_asks_for_its_views():
    with pytest.raises(ValueError, match='2 steps that resize.*state tta_pipeline'):
        tta_pipeline([STEPS[1], *STEPS])


def test_a_config_that_states_them_is_heeded():
    stated = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[[dict(type='PackSegInputs')]])]
    inner = [dict(type='CamVidDataset', pipeline=STEPS) for _ in range(2)]
    cfg = Config(
        dict(
            model=dict(type='EncoderDecoder'),
            tta_model=dict(type='mmseg.SegTTAModel'),
            tta_pipeline=stated,
            test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=inner)),
        )
    )
    use_tta(cfg)
    assert cfg.model == dict(type='mmseg.SegTTAModel', module=dict(type='EncoderDecoder'))
    assert [dataset.pipeline for dataset in cfg.test_dataloader.dataset.datasets] == [stated, stated]
    assert tta_pipeline(stated) == stated


def test_an_option_may_add_them(scenes):
    cfg = launch.load_config(scenes / 'scenes.py', ["tta_model.type='SegTTAModel'"])
    assert cfg.tta_model.type == 'SegTTAModel'
