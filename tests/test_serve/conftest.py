"""The model that the tests of this folder serve."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg.apis import init_model

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.update(depths=(1, 1, 1, 1))
    return init_model(cfg, device='cpu')
