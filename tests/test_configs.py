"""Every config of configs_local/lrformer loads, agrees with its name and the published facts, and builds."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset.utils import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData

from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

FOLDER = Path(__file__).parents[1] / 'configs_local' / 'lrformer'
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py'))

# Published parameters in millions with LRHead at 150 classes, and that head's channels.
PARAMETERS = {'t': (13.26, 256), 's': (32.22, 384), 'b': (67.51, 512), 'l': (110.98, 640)}
DROP_PATH = {'t': 0.1, 's': 0.2, 'b': 0.4, 'l': 0.6}
# The same with Mask2Former.
PLUS_PARAMETERS = {'t': 31.02, 's': 47.67, 'b': 79.84, 'l': 119.22, 'xl': 204.73}
PLUS_DROP_PATH = {'t': 0.2, 's': 0.3, 'b': 0.4, 'l': 0.6, 'xl': 0.4}
CLASSES = {'ade20k': 150, 'cocostuff164k': 171, 'cityscapes': 19, 'camvid': 11, 'scenes': 8}
GLOBAL_BATCH = {'ade20k': 16, 'cocostuff164k': 16, 'cityscapes': 8}


def load(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    cfg.model.backbone.init_cfg = None
    return cfg


def facts(name):
    """(variant, whether it is LRFormer+, dataset) as the file's name says."""
    variant, plus, dataset = re.match(r'lrformer-([a-z]+)(-plus)?\S*_([a-z0-9]+?)(?:-|$)', name).groups()
    return variant, bool(plus), dataset


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def test_the_promised_configs_are_there():
    promised = [f'lrformer-{v}-{rest}' for v in 'tsbl' for rest in ('160k_ade20k', '80k_cocostuff164k')]
    promised += [f'lrformer-{v}-160k_cityscapes-1024x1024' for v in 'tsbl']
    promised += [f'lrformer-{v}-plus-160k_ade20k-512x512' for v in 'tsbl']
    promised += [f'lrformer-{v}-160k_ade20k-640x640' for v in ('l-plus', 'l-plus-in22k', 'xl-plus-in22k')]
    promised += [f'lrformer-{v}-plus_scenes-128x128' for v in 'nt'] + ['lrformer-t-plus-40k_camvid-360x480']
    promised += ['lrformer-l-in22k-160k_ade20k-640x640', 'lrformer-t-40k_camvid-360x480']
    promised += ['lrformer-n_scenes-128x128', 'lrformer-t_scenes-128x128', 'lrformer-t_custom-dataset']
    assert set(promised) <= set(CONFIGS)


@pytest.mark.parametrize('name', CONFIGS)
def test_config_states_what_its_name_and_the_recipes_say(name):
    cfg = load(name)
    variant, plus, dataset = facts(name)
    assert cfg.model.backbone.variant == variant
    assert cfg.default_scope == 'mmseg'
    assert 'end' not in cfg.param_scheduler[-1]  # the runner takes it to max_iters
    if iterations := re.search(r'-(\d+)k_', name):
        assert cfg.train_cfg.max_iters == int(iterations[1]) * 1000
    if crop := re.search(r'(\d+)x(\d+)$', name):
        assert tuple(cfg.crop_size) == (int(crop[1]), int(crop[2]))
    if dataset in GLOBAL_BATCH:
        assert cfg.train_dataloader.global_batch_size == GLOBAL_BATCH[dataset]
        assert cfg.model.backbone.drop_path_rate == (PLUS_DROP_PATH if plus else DROP_PATH)[variant]
        optimizer, clip = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.clip_grad.max_norm
        if plus:
            assert (optimizer.lr, optimizer.weight_decay, optimizer.eps) == (1e-4, 0.05, 1e-8)
            assert clip == (0.01 if variant == 't' else 0.1)
            assert cfg.optim_wrapper.paramwise_cfg.lr_mult == {'backbone': 0.1}
            assert [s.power for s in cfg.param_scheduler] == [0.9]
        else:
            assert (optimizer.lr, optimizer.weight_decay, clip) == (6e-5, 0.01, 35)
        published = Config.fromfile(FOLDER / f'{name}.py').model.backbone.init_cfg
        assert published.type == 'Pretrained' and re.match(r'pretrained/(LRF|lrf)ormer_', published.checkpoint)
        assert ('in22k' in published.checkpoint) == ('in22k' in name)
    else:
        assert Config.fromfile(FOLDER / f'{name}.py').model.backbone.get('init_cfg') is None
    doc = (FOLDER / f'{name}.py').read_text().split('"""')[1]
    assert f'tools/dist_train.sh configs_local/lrformer/{name}.py' in doc
    assert tuple(cfg.model.data_preprocessor.size) == tuple(cfg.crop_size)


@pytest.mark.parametrize('name', CONFIGS)
def test_classes_of_dataset_and_head_agree(name):
    cfg = load(name)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        while 'dataset' in dataset:  # a wrapper
            dataset = dataset.dataset
        given = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
        assert len(given['classes']) == len(given['palette']) == cfg.model.decode_head.num_classes
    if dataset := CLASSES.get(facts(name)[2]):
        assert cfg.model.decode_head.num_classes == dataset


@pytest.mark.parametrize('name', CONFIGS)
def test_model_builds_runs_and_has_the_published_parameter_count(name):
    """Forward and backward on the meta device: all shapes, no memory."""
    cfg = load(name)
    classes = cfg.model.decode_head.num_classes
    variant, plus, _ = facts(name)
    with torch.device('meta'):
        model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
        inputs, labels = torch.zeros(2, 3, 64, 96), torch.zeros(1, 64, 96, dtype=torch.int64)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in inputs]
    if plus:
        queries = cfg.model.decode_head.get('num_queries', 100)
        class_logits, mask_logits = model(inputs, mode='tensor')
        assert class_logits[-1].shape == (2, queries, classes + 1) and mask_logits[-1].shape == (2, queries, 16, 24)
        sum(x.sum() for x in (*class_logits, *mask_logits)).backward()  # matching needs values
    else:
        assert model(inputs, mode='tensor').shape == (2, classes, 8, 12)
        model(inputs, samples, mode='loss')['decode.loss_ce'].backward()
    assert not [key for key, value in model.named_parameters() if value.grad is None]

    count = sum(parameter.numel() for parameter in model.parameters())
    if variant == 'n':
        assert 1.5e6 < count < 3e6
    elif 'scenes' in name and plus:
        assert count < PLUS_PARAMETERS[variant] * 1e6  # a smaller head
    elif plus:
        assert round((count + (150 - classes) * 257) / 1e6, 2) == PLUS_PARAMETERS[variant]
    else:
        millions, channels = PARAMETERS[variant]
        assert round((count + (150 - classes) * (channels + 1)) / 1e6, 2) == millions


@pytest.mark.parametrize(
    'name',
    [
        *('lrformer-n_scenes-128x128', 'lrformer-t-40k_camvid-360x480'),
        *('lrformer-n-plus_scenes-128x128', 'lrformer-t-plus-40k_camvid-360x480'),
    ],
)
def test_gradients_reach_every_parameter(name):
    cfg = load(name)
    cfg.model.data_preprocessor.size = (64, 64)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    items = []
    for height in (64, 50):  # the second is padded
        sample = SegDataSample(metainfo=dict(img_shape=(height, 64), ori_shape=(height, 64)))
        labels = torch.randint(cfg.model.decode_head.num_classes, (1, height, 64))
        sample.gt_sem_seg = PixelData(data=labels)
        pixels = torch.randint(256, (3, height, 64), dtype=torch.uint8)
        items.append(dict(inputs=pixels, data_samples=sample))
    data = model.data_preprocessor(pseudo_collate(items), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    without = [key for key, value in model.named_parameters() if value.grad is None]
    assert not without
    model.eval()
    with torch.no_grad():
        predicted = model.test_step(pseudo_collate(items))
    assert [sample.pred_sem_seg.shape for sample in predicted] == [(64, 64), (50, 64)]


@pytest.mark.parametrize('name', CONFIGS)
def test_pipelines_and_evaluators_build(name):
    cfg = load(name)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert [TRANSFORMS.build(step) for step in loader.dataset.pipeline]
        assert ('global_batch_size' in loader) != ('batch_size' in loader)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert METRICS.build(evaluator)
