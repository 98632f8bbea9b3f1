"""Names of mmsegmentation 1.x that users' code and configs rely on, at their places.

``SURFACE`` is the table of the project's specification; where that page is at hand, the two are compared.
"""

import importlib
import json
import re
from pathlib import Path

import pytest

from mmseg import registry

PAGE = Path(__file__).parents[2] / 'shared' / 'spec' / 'api_surface.md'
FACTS = PAGE.with_name('dataset_facts.json')

SURFACE = {
    'mmseg': '__version__ digit_version',
    'mmseg.registry': (
        'DATASETS MODELS TRANSFORMS METRICS HOOKS VISUALIZERS OPTIM_WRAPPER_CONSTRUCTORS RUNNERS LOOPS DATA_SAMPLERS'
    ),
    'mmseg.structures': 'SegDataSample OHEMPixelSampler BasePixelSampler build_pixel_sampler',
    'mmseg.models': (
        'SegDataPreProcessor EncoderDecoder CascadeEncoderDecoder SegTTAModel '
        'build_segmentor build_backbone build_head build_loss'
    ),
    'mmseg.models.backbones': (
        'LRFormer MixVisionTransformer ResNet ResNetV1c ResNetV1d ResNeXt SwinTransformer MSCAN HRNet UNet TIMMBackbone'
    ),
    'mmseg.models.backbones.mit': 'EfficientMultiheadAttention MixFFN TransformerEncoderLayer',
    'mmseg.models.backbones.resnet': 'BasicBlock Bottleneck',
    'mmseg.models.backbones.resnext': 'Bottleneck',
    'mmseg.models.necks': 'FPN MultiLevelNeck Feature2Pyramid',
    'mmseg.models.decode_heads': (
        'LRHead Mask2FormerHead FCNHead DepthwiseSeparableFCNHead SegformerHead UPerHead PSPHead ASPPHead '
        'DepthwiseSeparableASPPHead FPNHead LightHamHead OCRHead'
    ),
    'mmseg.models.decode_heads.decode_head': 'BaseDecodeHead',
    'mmseg.models.decode_heads.cascade_decode_head': 'BaseCascadeDecodeHead',
    'mmseg.models.losses': (
        'CrossEntropyLoss DiceLoss FocalLoss LovaszLoss TverskyLoss OhemCrossEntropy BoundaryLoss Accuracy accuracy '
        'weight_reduce_loss'
    ),
    'mmseg.models.utils': 'resize ResLayer nchw_to_nlc nlc_to_nchw nchw2nlc2nchw nlc2nchw2nlc',
    'mmseg.models.utils.embed': 'AdaptivePadding PatchEmbed PatchMerging',
    'mmseg.datasets': (
        'BaseSegDataset ADE20KDataset CityscapesDataset COCOStuffDataset PascalVOCDataset MultiImageMixDataset '
        # of dataset_facts.json
        'ChaseDB1Dataset DRIVEDataset DSDLSegDataset DarkZurichDataset DecathlonDataset HRFDataset ISPRSDataset '
        'LIPDataset LoveDADataset MapillaryDataset_v1 MapillaryDataset_v2 NightDrivingDataset PascalContextDataset '
        'PascalContextDataset59 PotsdamDataset REFUGEDataset STAREDataset SynapseDataset iSAIDDataset'
    ),
    'mmseg.datasets.transforms': (
        'LoadAnnotations LoadImageFromNDArray PackSegInputs PhotoMetricDistortion RandomCrop RandomRotate RandomFlip '
        'Resize ResizeToMultiple ResizeShortestEdge AlignResize CLAHE AdjustGamma Rerange RGB2Gray SegRescale '
        'RandomRotFlip RandomCutOut RandomMosaic GenerateEdge Albu'
    ),
    'mmseg.engine.hooks': 'SegVisualizationHook',
    'mmseg.engine.optimizers.layer_decay_optimizer_constructor': 'LearningRateDecayOptimizerConstructor',
    'mmseg.evaluation': 'IoUMetric CityscapesMetric',
    'mmseg.visualization': 'SegLocalVisualizer',
    'mmseg.apis': 'init_model inference_model show_result_pyplot MMSegInferencer',
    'mmseg.utils': 'register_all_modules get_classes get_palette collect_env',
}
NAMES = [(module, name) for module, names in SURFACE.items() for name in names.split()]
# What configs name, by the registry that knows it.
REGISTERED = {
    'MODELS': ('mmseg.models.backbones', 'mmseg.models.necks', 'mmseg.models.decode_heads', 'mmseg.models.losses'),
    'DATASETS': ('mmseg.datasets',),
    'TRANSFORMS': ('mmseg.datasets.transforms',),
    'METRICS': ('mmseg.evaluation',),
    'HOOKS': ('mmseg.engine.hooks',),
    'VISUALIZERS': ('mmseg.visualization',),
    'OPTIM_WRAPPER_CONSTRUCTORS': ('mmseg.engine.optimizers.layer_decay_optimizer_constructor',),
}

# Not here yet. What comes is to be taken off this list: a test fails for a name that stands on it and is there.
ABSENT = {
    'mmseg.datasets': 'DSDLSegDataset',  # a format of data sets, without classes of its own
}
ABSENT = {(module, name) for module, names in ABSENT.items() for name in names.split()}


def is_there(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if not module.startswith(error.name or ' '):
            raise
        return False


@pytest.mark.parametrize(('module', 'name'), NAMES)
def test_name_is_at_its_place(module, name):
    there = is_there(module, name)
    if (module, name) in ABSENT:
        assert not there, f'{module}.{name} has come: take it off ABSENT'
        pytest.skip('on the list of what is not here yet')
    assert there


def test_absences_are_of_the_surface():
    assert set(NAMES) >= ABSENT


@pytest.mark.parametrize(('kind', 'modules'), REGISTERED.items())
def test_configs_find_it(kind, modules):
    known = [name for module, name in NAMES if module in modules and (module, name) not in ABSENT]
    found = {name: getattr(registry, kind).get(name) for name in known if name[0].isupper()}
    missing = sorted(set(found) - {name for name, part in found.items() if part is not None} - {'Accuracy'})
    assert not missing


def test_the_second_name_of_layer_decay():
    constructors = registry.OPTIM_WRAPPER_CONSTRUCTORS
    one, other = map(constructors.get, ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor'))
    assert one is other is not None


@pytest.mark.skipif(not PAGE.is_file(), reason='the specification is not here')
def test_the_table_is_the_page_s():
    page = {}
    for modules, names in re.findall(r'^\| (`.+`) \| (.+) \|$', PAGE.read_text(encoding='utf-8'), re.MULTILINE):
        modules = re.findall(r'`(?:mmseg)?\.?([\w.]*)`', modules)
        for name in re.findall(r'`(\w+)`', names):
            page.setdefault(name, []).append(modules)
    for other in ('LayerDecayOptimizerConstructor', 'mmseg'):  # a second name in configs, and the scope
        page.pop(other)
    facts = set(json.loads(FACTS.read_text(encoding='utf-8')))
    listed = {name for _, name in NAMES}
    assert set(page) | facts == listed
    for module, name in NAMES:
        if name not in facts and module != 'mmseg.models.utils.embed':  # in the row of .utils
            assert any(module.removeprefix('mmseg').endswith(part) for parts in page[name] for part in parts), name
