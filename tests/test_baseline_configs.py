"""Every config of configs_local/baselines loads, builds, and is the published model where there is one."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData

from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

from .published import BASELINES

FOLDER = Path(__file__).parents[1] / 'configs_local' / 'baselines'
PUBLISHED = {
    'segformer-b0-160k_ade20k-512x512': 'segformer_b0',
    'segformer-b2-160k_ade20k-512x512': 'segformer_b2',
    'segformer-b5-160k_ade20k-512x512': 'segformer_b5',
    'upernet-r50-80k_ade20k-512x512': 'upernet_r50',
    'upernet-swin-t-160k_ade20k-512x512': 'upernet_swin',
    'deeplabv3plus-r50-80k_ade20k-512x512': 'deeplabv3plus_r50',
    'segnext-t-160k_ade20k-512x512': 'segnext_t',
    'ocrnet-hr18-80k_ade20k-512x512': 'ocrnet_hr18',
    'mask2former-r50-160k_ade20k-512x512': 'mask2former_r50',
}
OTHERS = [
    *(f'segformer-b{i}-160k_ade20k-512x512' for i in (1, 3, 4)),
    *(f'{name}_scenes-128x128' for name in ('segformer-b0', 'unet-s', 'deeplabv3plus-mobilenet')),
    *(f'{name}-40k_camvid-360x480' for name in ('segformer-b0', 'deeplabv3plus-mobilenet')),
]
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py'))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def test_the_promised_configs_are_there():
    assert set(CONFIGS) == set(PUBLISHED) | set(OTHERS)


@pytest.mark.parametrize('name', CONFIGS)
def test_config_agrees_with_its_name_and_builds(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    assert f'tools/dist_train.sh configs_local/baselines/{name}.py' in (FOLDER / f'{name}.py').read_text()
    if 'k_' in name:
        assert cfg.train_cfg.max_iters == int(name.split('k_')[0].rpartition('-')[2]) * 1000
    assert tuple(cfg.model.data_preprocessor.size) == tuple(map(int, name.rpartition('-')[2].split('x')))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert [TRANSFORMS.build(step) for step in loader.dataset.pipeline]
        classes = DATASETS.get(loader.dataset.type).METAINFO['classes']
        heads = cfg.model.decode_head if isinstance(cfg.model.decode_head, list) else [cfg.model.decode_head]
        assert {head.num_classes for head in (*heads, cfg.model.get('auxiliary_head', heads[0]))} == {len(classes)}
    assert METRICS.build(cfg.val_evaluator)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    if name in PUBLISHED:
        entries = BASELINES[PUBLISHED[name]]
        weights = {entry: torch.empty(shape, device='meta') for entry, shape in entries['entries'].items()}
        model.load_state_dict(weights, strict=True)
        assert sum(parameter.numel() for parameter in model.parameters()) == entries['params']


@pytest.mark.parametrize('name', [name for name in CONFIGS if 'ade20k' not in name])
def test_small_models_train_at_their_size(name):
    """Forward and backward on the meta device: all shapes, no memory."""
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model).train()
        inputs, labels = torch.zeros(2, 3, *cfg.crop_size), torch.zeros(1, *cfg.crop_size, dtype=torch.int64)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in inputs]
    model(inputs, samples, mode='loss')['decode.loss_ce'].backward()
    assert not [key for key, value in model.named_parameters() if value.grad is None]
