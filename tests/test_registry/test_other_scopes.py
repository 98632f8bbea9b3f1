"""Packages of OpenMMLab beside ours name our parts by our scope."""

import subprocess
import sys

import torch

from mmseg.models.backbones import LRFormer

DETECTOR = """
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT, DefaultScope, Registry

MODELS = Registry('model', parent=ROOT, scope='mmdet')  # as mmdet has it


@MODELS.register_module()
class Detector(BaseModel):
    def __init__(self, backbone, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.backbone(inputs)


cfg = Config.fromfile({config!r})
with DefaultScope.overwrite_default_scope('mmdet'):
    model = MODELS.build(cfg.model)
    model.init_weights()
shapes = [tuple(m.shape) for m in model(torch.zeros(1, 3, 64, 64))]
assert shapes == [(1, 48, 8, 8), (1, 120, 4, 4), (1, 192, 2, 2)], shapes
print(type(model.backbone).__module__, model.backbone.stages[0].embed.convs[0].bias.data.tolist()[:2])
"""
CONFIG = """
custom_imports = dict(imports=['mmseg.models'])
model = dict(type='Detector', backbone=dict(
    type='mmseg.LRFormer', variant='n', out_indices=(1, 2, 3),
    init_cfg=dict(type='Pretrained', checkpoint={weights!r})))
"""


def test_a_detector_takes_lrformer_as_its_backbone(tmp_path):
    weights = LRFormer('n').state_dict()
    weights['stages.0.embed.convs.0.bias'][:2] = torch.tensor([0.25, -0.5])
    torch.save(weights, tmp_path / 'backbone.pth')
    (tmp_path / 'detector.py').write_text(CONFIG.format(weights=str(tmp_path / 'backbone.pth')))
    program = DETECTOR.replace('{config!r}', repr(str(tmp_path / 'detector.py')))
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == 'mmseg.models.backbones.lrformer [0.25, -0.5]'
