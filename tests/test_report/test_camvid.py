"""The report of a real test on CamVid, from the command to the browser."""

import json

import torch

from mmseg import cli, zoo
from mmseg.engine.launch import load_config
from mmseg.registry import MODELS
from mmseg.report.page import read_page
from mmseg.utils import register_all_modules

from ..camvid import CAMVID_ROOT, needs_camvid
from ..chromium import chromium, needs_chromium  # noqa: F401

CONFIG = """
_base_ = '{base}'
data_root = '{root}'
model = dict(
    backbone=dict(
        variant=None, embed_dims=(8, 8, 10, 16), depths=(1,) * 4, mlp_ratios=(1,) * 4, q_pooled_sizes=(4,) * 4
    ),
    decode_head=dict(channels=16, q_pooled_size=4),
)
small = dict(type='AlignResize', scale=(96, 64), size_divisor=32)
steps = [dict(type='LoadImageFromFile'), small, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=steps))
test_evaluator = dict(per_class=True)
"""


@needs_camvid
@needs_chromium
def test_figures_on_the_page_are_those_of_the_metric(tmp_path, chromium, monkeypatch):  # noqa: F811
    """All 233 images of the test split, through a network that is too small to learn anything."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / 'tiny.py'
    config.write_text(CONFIG.format(base=zoo.config_file('lrformer-t-40k_camvid-360x480'), root=CAMVID_ROOT))
    register_all_modules()
    torch.manual_seed(1)
    torch.save(MODELS.build(load_config(config).model).state_dict(), 'tiny.pth')
    assert cli.main(['test', str(config), 'tiny.pth', '--report', 'page', '--report-images', '12']) == 0
    logged = json.loads(next(tmp_path.glob('work_dirs/tiny/*/*.json')).read_text())
    page = tmp_path / 'page' / 'index.html'
    data, thumbs, pictures = read_page(page, 'data', 'thumbs', 'pictures')
    assert len(data['images']) == len(thumbs) == 233 and 4 <= len(pictures) <= 12
    assert data['run']['command'] == f'lrformer test {config} tiny.pth --report page --report-images 12'
    for width, dark in ((1280, False), (400, True)):
        chromium.open(page, width, dark=dark)
        shown = dict(zip(chromium.texts('#tiles span'), chromium.texts('#tiles b'), strict=True))
        assert {name: float(shown[name]) for name in ('aAcc', 'mIoU', 'mAcc')} == {
            name: logged[name] for name in ('aAcc', 'mIoU', 'mAcc')
        }
        names, ious = (chromium.texts(f'#class-table td[data-name={name}]') for name in ('class', 'IoU'))
        assert [float(iou) for iou in ious] == [logged[f'IoU.{name}'] for name in names] and len(names) == 11
        chromium.click('#class-table th[data-name=IoU] button')
        figures = [float(iou) for iou in chromium.texts('#class-table td[data-name=IoU]')]
        assert figures == sorted(figures) and sorted(figures) == sorted(map(float, ious))
        assert chromium.run('document.documentElement.scrollWidth') <= width
        assert chromium.errors == []
