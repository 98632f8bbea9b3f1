"""What of the documentation cannot run as it stands, and why; and what stands for its placeholders.

All keys are regular expressions. Each must match something: tests/test_docs_run.py sees to it.
"""

import re
from collections.abc import Mapping

import cv2
import torch
from PIL import Image

from .blocks import ROOT

CONFIGS = ROOT / 'configs_local'
CITYSCAPES = str(CONFIGS / 'lrformer/lrformer-t-160k_cityscapes-1024x1024.py')
ADE20K = str(CONFIGS / 'lrformer/lrformer-t-160k_ade20k.py')


def first_match(table: Mapping[str, object], text: str) -> object | None:
    """The value of the first key that matches a part of a text."""
    return next((value for key, value in table.items() if re.search(key, text, re.MULTILINE)), None)


# Lines that are left out.
NOT_RUN = {
    r'to_supervision': 'needs supervision, which is no part of the tests',
    r'^push_to_hub': 'needs the hub, and an account there',
    r'^pip install': 'installs into the environment that runs the tests; .ci/run installs the package and its extras',
    r'^git clone': 'there is no address yet',
    r'^make ': 'sets up an environment, or runs all tests: this one among them',
    r'slurm_train\.sh': 'needs slurm',
    r'^NNODES=2': 'waits for a second node',
    r'tests/on_gpu\.sh': 'needs a GPU',
    r'lrformer predict \.\.\.': 'an ellipsis for the line above it',
    r'benchmark\.py --against': 'times everything in turns with a commit of the history: half an hour',
    r'benchmark_runtimes\.py|exported-t-512x512': 'the same for exported files',
    r'^trtexec': 'needs TensorRT',
    r'npm install': 'needs the network',
}

# Lines of the shell that run with pytest -m slow only.
SLOW = {
    r'compile=True|--compile': 'compiles',
    r'^import ray': 'starts a cluster',
    r'^lrformer export|n\.onnx|n-int8': 'traces and converts a network',
    r'export_parity\.py': 'the same',
    r'compare_models\.py|compare_at_budget\.py|plot_cost\.py|benchmark\.py': 'measures',
    r'^bash tools/dist_train\.sh': 'trains once more what a page of results trained',
}

# Lines of the shell that need a package which is no part of the tests' own.
NEEDS = {
    r'dataset_converters/cityscapes\.py': 'cityscapesscripts',
    r'lrformer serve|^curl': 'fastapi',
    r'--save geotiff': 'rasterio',
    r'openvino': 'openvino',
    r'onnx': 'onnxruntime',
    r'SMPModel': 'segmentation_models_pytorch',
    r'HFSegmentor': 'transformers',
    r'tifffile': 'tifffile',
    r'^import ray': 'ray',
}

# What takes part of an hour is asked for less.
SHORTER = {
    r'compare_models\.py': 'lrformer-t-160k_ade20k --shape 64 64 --rounds 1',
    r'compare_at_budget\.py': 'lrformer-n_scenes-128x128 --seconds 2 --measure 2',
    r'plot_cost\.py': '--sides 64 96 --class-counts 2 19 --rounds 1',
    r'benchmark\.py': '--rounds 1 --warm-up 0',
}

# What stands for placeholders of the shell, and for places that are not the test's own.
VALUES = {
    r'(?<= )CONFIG --cfg-options data_root=': 'lrformer-t-160k_ade20k --cfg-options data_root=',
    r'(?<=[ =])(CONFIG|MODEL)\b': 'lrformer-n_scenes-128x128',
    r'(?<=cityscapes-1024x1024 )CHECKPOINT': 'model_release/lrformer-t-160k_cityscapes-1024x1024.pth',
    r'(?<=[ =])(CHECKPOINT|FILE)(?=\s|$)': 'FILE.pth',
    r'\bWORK_DIR\b': 'work_dirs/RUN',
    r'\bREPORT\b': 'report_a',
    r'\bIMAGE\b': 'street.jpg',
    r'\bPICTURE\b': 'picture.png',
    r'--images DIR\b': '--images photos',
    r'--compare DIR_A DIR_B DIR_C': '--compare report_a report_b report_c',
    r'\bDATA\b': 'my_data',
    r'=/d(isk|ata)/': r'=d\1/',
    r'--resume iter_\d+': '--resume work_dirs/RUN/iter_2',
    r'iter_\d+': 'iter_2',
    r'max_iters=\d+': 'max_iters=2',
    r'val_interval=\d+': 'val_interval=2',
    r'127\.0\.0\.1:8000': '127.0.0.1:$PORT',
    r'--port 8080': '--port $OTHER_PORT',
}

# The same for Python.
TEXTS = {
    r'pretrained=True': 'pretrained=False',
    r'\'/data/': "'data/",
    r'iter_\d+': 'iter_2',
    r'OWNER/my_model': 'my_model',
    r'\(512, 512\)': '(64, 64)',
    r'mean=\[\.\.\.\], std=\[\.\.\.\]': 'mean=[127.0] * 4, std=[64.0] * 4',
    r"device='cuda:0'": "device='cpu'",
    r'num_layers=12': 'num_layers=6',
}

# Keys of ``model``, of which a page shows what is in it.
MODEL_KEYS = {'decode_head', 'backbone', 'data_preprocessor', 'freeze'}

# Configs that lines of configs go on top of, where it is not the scenes'.
BASES = {
    r"type='(SMPModel|HFSegmentor)'": 'no_model.py',
    r'num_classes=19': CITYSCAPES,
    r'num_classes=2\b': 'two_classes.py',
    r'in_channels=4': 'four_channels.py',
    r'ADE20KDataset': ADE20K,
    r'convnext_tiny': 'wide_head.py',
    r"'background', 'cat'": 'own_data.py',
    r"'background', 'crack'": 'cracks.py',
}

# Names that a page takes for granted.
NAMES = {
    'docs/predict.md': lambda: dict(
        array=cv2.imread('a.jpg'), pil_image=Image.open('b.jpg'), tensor=torch.zeros(3, 64, 80, dtype=torch.uint8)
    ),
}

# What blocks are for that define something and do nothing with it.
USES = {
    r"^dict\(type='LoadImageFromFile', color_type='unchanged'": """
from mmseg.registry import TRANSFORMS
assert TRANSFORMS.build(shown)(dict(img_path='bands.tif'))['img'].shape == (64, 80, 5)
""",
    r'label_palette=': """
from mmseg.datasets import BaseSegDataset
names = dict(img_path='coloured', seg_map_path='colours')
steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
pairs = BaseSegDataset(data_root='data/my_dataset', data_prefix=names, metainfo=metainfo, pipeline=steps)
assert set(pairs[0]['gt_seg_map'].flat) == {0, 1, 255}
""",
    r"type='PairsDataset'": """
from mmseg.registry import DATASETS
assert len(DATASETS.build(train_dataset)) == 2
""",
    r'class TwoStrides': """
train('with_two_strides.py', '''
model = dict(
    backbone=dict(_delete_=True, type='TwoStrides'),
    decode_head=dict(_delete_=True, type='FCNHead', in_index=1, channels=8, num_classes=8),
)''')
""",
    r'class ConfidenceLoss': """
train('with_confidence.py', '''model = dict(decode_head=dict(loss_decode=[
    dict(type='CrossEntropyLoss'), dict(type='ConfidenceLoss', loss_weight=0.1)
]))''')
""",
    r'class TwoConvHead': """
assert TwoConvHead(48, 8, num_classes=3)
""",
    r"type='mmseg.LRFormer'": """
from mmseg.registry import MODELS
model['backbone'].pop('_delete_')
model['backbone'].pop('init_cfg')
assert list(MODELS.build(model['backbone']).out_channels) == model['neck']['in_channels']
""",
    r'photometric = ': """
import numpy as np
from mmseg.registry import TRANSFORMS
pixels = np.zeros((64, 80, 3), np.uint8)
TRANSFORMS.build(photometric)(dict(img=pixels, gt_seg_map=pixels[..., 0], seg_fields=['gt_seg_map']))
""",
    r'tta_pipeline = ': """
train('with_views.py', lines, 'own_data.py', ['test', 'with_views.py', 'work_dirs/with_views/iter_2.pth', '--tta'])
""",
    r'WandbVisBackend': """
from mmengine.registry import VISBACKENDS
assert all(VISBACKENDS.get(backend['type']) for backend in visualizer['vis_backends'])
""",
}

# What stands in blocks of no language: what its text is compared with; '' where that is nothing that runs.
SHOWN = {
    r'^@article': '',
    r'^x = x ': '',
    r'^data/': """
require_tree(text)
""",
    r'^ValueError: the config contradicts itself': """
from mmseg.engine.launch import load_config, train
cfg = load_config('lrformer-n_scenes-128x128', {'model.decode_head.num_classes': 3, 'val_evaluator.ignore_index': 0})
try:
    train(cfg)
except ValueError as error:
    assert text.strip() == f'ValueError: {error}', error
else:
    raise AssertionError('it did not contradict itself')
""",
    r'^class weights by': """
import re
from mmseg.datasets import SceneDataset, class_weights
rare = SceneDataset(num_scenes=1000, size=(64, 64), rare=dict(car=0.05, sign=0.05))
weights = dict(zip(rare.metainfo['classes'], class_weights(rare, 'inverse_sqrt')))
named = re.findall(r'(\\w+) (\\d\\.\\d+) ', text)
assert len(named) == 3 and all(abs(weights[name] - float(value)) < 1e-3 for name, value in named), weights
""",
}
