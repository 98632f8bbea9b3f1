"""Models of mmsegmentation: published weights load strictly, outputs are those of the published implementation, and an
upstream-style config of each family trains and predicts."""

import numpy as np
import pytest
import torch
from mmengine.dataset.utils import pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .. import upstream_configs
from ..published import BASELINES, DATA, formula_image, formula_weights, thin

OUTPUTS = np.load(DATA / 'baseline_outputs.npz')
WITH_OUTPUTS = sorted({name.split('/')[0] for name in OUTPUTS})


def test_every_published_model_has_a_config():
    assert set(upstream_configs.MODELS) == set(BASELINES)
    assert len(BASELINES) == 19 and len(WITH_OUTPUTS) == 8


@pytest.mark.parametrize('name', BASELINES)
def test_published_weights_load_strictly(name):
    """On the meta device: all names and shapes, no memory."""
    with torch.device('meta'):
        model = MODELS.build(upstream_configs.MODELS[name]())
        weights = {entry: torch.empty(shape) for entry, shape in BASELINES[name]['entries'].items()}
    model.load_state_dict(weights, strict=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == BASELINES[name]['params']


@pytest.fixture
def one_thread():
    """Sums in the reference's order: OCRNet's softmax over places gets scores up to 1200, which multiply rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize('name', WITH_OUTPUTS)
def test_outputs_are_the_published_ones(name, one_thread):
    model = MODELS.build(upstream_configs.MODELS[name]()).eval()
    model.load_state_dict(formula_weights(name), strict=True)
    for height, width in ((64, 64), (96, 160)):
        image = formula_image(height, width, batch=2)
        with torch.no_grad():
            maps = model.extract_feat(image)
            found = {f'feat{i}': x[:, ::8] for i, x in enumerate(maps)}
            if name == 'mask2former_r50':
                found['logits'] = model.encode_decode(image)[..., ::4, ::4]
            else:
                found['logits'] = model.decode_head(maps)
            if f'{name}/{height}x{width}/aux' in OUTPUTS:
                found['aux'] = model.auxiliary_head(maps)
        for key, value in found.items():
            expected = OUTPUTS[f'{name}/{height}x{width}/{key}']
            error = np.abs(thin(value).numpy() - expected).max() / np.abs(expected).max()
            bound = 1e-4 if (name, key) == ('ocrnet_hr18', 'logits') else 1e-5  # another processor sums otherwise
            assert error <= bound, f'{key} at {height}x{width}: {error:.1e}'


@pytest.mark.parametrize('family', upstream_configs.TINY)
def test_an_upstream_config_trains_and_predicts(family):
    torch.manual_seed(0)
    cfg = upstream_configs.TINY[family]()
    cfg['data_preprocessor']['size'] = (64, 64)
    model = MODELS.build(cfg).train()
    classes = model.num_classes
    optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3))
    items = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(50, 70)))
        sample.gt_sem_seg = PixelData(data=torch.randint(classes, (1, 64, 64)))
        items.append(dict(inputs=torch.randint(256, (3, 64, 64), dtype=torch.uint8), data_samples=sample))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for _ in range(2):
        losses = model.train_step(pseudo_collate(items), optimizer)
        assert torch.isfinite(losses['loss'])
    learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
    still = [name for name, value in learning.items() if torch.equal(value, before[name])]
    assert not still
    model.eval()
    with torch.no_grad():
        predicted = model.test_step(pseudo_collate(items))
    assert [sample.pred_sem_seg.shape for sample in predicted] == [(50, 70)] * 2
    assert predicted[0].pred_sem_seg.data.max() < classes
