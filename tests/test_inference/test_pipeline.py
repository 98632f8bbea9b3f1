"""One image goes through exactly what the test loop puts its images through, however the config says it."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms import LoadAnnotations as McvLoadAnnotations
from mmcv.transforms import LoadImageFromFile as McvLoadImageFromFile
from mmengine.config import Config

from mmseg.datasets.transforms import LoadAnnotations, LoadImageFromFile, PackSegInputs
from mmseg.inference.pipeline import ImagePipeline
from mmseg.inference.scope import default_scope
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg.utils.image_file import read_image

PACK = dict(type='PackSegInputs')
RESIZE = dict(type='mmcv.Resize', scale=(40, 24))


@pytest.fixture
def folder(tmp_path):
    """Images a.png (colours with alpha) and their labels, in two folders."""
    rng = np.random.default_rng(0)
    for name in ('img', 'seg'):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / 'img' / 'a.png'), rng.integers(0, 256, (30, 50, 4), dtype=np.uint8))
    cv2.imwrite(str(tmp_path / 'seg' / 'a.png'), rng.integers(0, 2, (30, 50), dtype=np.uint8))
    return tmp_path


def config(folder, pipeline, **dataset):
    dataset = (
        dict(
            type='BaseSegDataset',
            metainfo=dict(classes=('a', 'b')),
            img_suffix='.png',
            data_root=str(folder),
            data_prefix=dict(img_path='img', seg_map_path='seg'),
            pipeline=pipeline,
        )
        | dataset
    )
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def assert_like_the_test_set(cfg, image):
    with default_scope(cfg):  # as a runner
        expected = DATASETS.build(cfg.test_dataloader.dataset)[0]
    item = ImagePipeline(cfg)(image)
    torch.testing.assert_close(item['inputs'], expected['inputs'], rtol=0, atol=0)
    keys = {'ori_shape', 'img_shape', 'scale_factor'} & set(expected['data_samples'].metainfo_keys())
    assert all(item['data_samples'].get(key) == expected['data_samples'].get(key) for key in keys)


LOADERS = {
    'plain': dict(type='LoadImageFromFile'),
    'scoped': dict(type='mmseg.LoadImageFromFile', color_type='unchanged'),
    "mmcv's": dict(type='mmcv.LoadImageFromFile', color_type='unchanged', to_float32=True),
    'class': dict(type=LoadImageFromFile, color_type='grayscale'),
    "mmcv's class": dict(type=McvLoadImageFromFile, color_type='unchanged'),
    'four channels': dict(type='LoadImageFromFile', color_type='unchanged'),
    'float': dict(type='LoadImageFromFile', to_float32=True),
    'pillow': dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    'four by pillow': dict(type='LoadImageFromFile', imdecode_backend='pillow', color_type='unchanged'),
}


@pytest.mark.parametrize('loader', LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize('annotations', ['LoadAnnotations', 'mmseg.LoadAnnotations', LoadAnnotations])
def test_a_file_is_loaded_as_the_test_set_loads_it(folder, loader, annotations):
    cfg = config(folder, [loader, RESIZE, dict(type=annotations), dict(type=PackSegInputs)])
    # mmcv's resize would turn the annotation, which the test set loads after it.
    assert_like_the_test_set(cfg, folder / 'img' / 'a.png')


@pytest.mark.parametrize('loader', LOADERS.values(), ids=LOADERS)
def test_an_array_takes_the_place_of_what_the_loader_reads(folder, loader):
    cfg = config(folder, [loader, RESIZE, PACK])
    color_type, backend = loader.get('color_type', 'color'), loader.get('imdecode_backend', 'cv2')
    assert_like_the_test_set(cfg, read_image(folder / 'img' / 'a.png', None, color_type, backend))


NESTED = {
    'RandomApply': dict(type='RandomApply', prob=1.0, transforms=[RESIZE, dict(type='LoadAnnotations')]),
    'RandomChoice': dict(
        type='mmcv.RandomChoice', transforms=[[RESIZE, dict(type='mmseg.LoadAnnotations')]], prob=[1.0]
    ),
    'Compose': dict(type='Compose', transforms=[RESIZE, dict(type=LoadAnnotations)]),
    'KeyMapper': dict(type='KeyMapper', transforms=[dict(type='LoadAnnotations')]),
    'inside twice': dict(
        type='Compose', transforms=[RESIZE, dict(type='RandomApply', prob=1.0, transforms=[dict(type=LoadAnnotations)])]
    ),
}


@pytest.mark.parametrize('step', NESTED.values(), ids=NESTED)
def test_annotations_are_left_out_wherever_they_are_loaded(folder, step):
    cfg = config(folder, [dict(type='LoadImageFromFile'), step, PACK])
    assert_like_the_test_set(cfg, folder / 'img' / 'a.png')
    assert_like_the_test_set(cfg, cv2.imread(str(folder / 'img' / 'a.png')))


def test_views_of_test_time_augmentation(folder):
    views = dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='mmcv.Resize', scale_factor=factor) for factor in (0.5, 1.0)],
            [dict(type='mmcv.RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
            [dict(type='LoadAnnotations')],
            [PACK],
        ],
    )
    cfg = config(folder, [dict(type='LoadImageFromFile'), views])
    before = cfg.to_dict()
    with default_scope(cfg):  # as a runner
        expected = DATASETS.build(cfg.test_dataloader.dataset)[0]
    pipeline = ImagePipeline(config(folder, [dict(type='LoadImageFromFile'), views]))
    for image in (folder / 'img' / 'a.png', cv2.imread(str(folder / 'img' / 'a.png'))):
        inputs = pipeline(image)['inputs']
        assert len(inputs) == 4
        for view, same in zip(inputs, expected['inputs'], strict=True):
            assert torch.equal(view, same)
    assert before['test_dataloader']['dataset']['pipeline'][1]['transforms'][2] == [dict(type='LoadAnnotations')]


@TRANSFORMS.register_module()
class ReversedChannels(LoadImageFromFile):
    """A loader of a user's own."""

    def __init__(self):
        super().__init__(color_type='unchanged')

    def transform(self, results):
        results = super().transform(results)
        results['img'] = results['img'][..., ::-1]
        return results


@TRANSFORMS.register_module()
class OwnAnnotations(McvLoadAnnotations):
    """A loader of annotations of a user's own."""


@TRANSFORMS.register_module()
class Ramp(BaseTransform):
    """A loader that owes nothing to ours."""

    def transform(self, results):
        return results | dict(img=np.arange(48, dtype=np.uint8).reshape(4, 4, 3), ori_shape=(4, 4), img_shape=(4, 4))


def test_loaders_of_a_users_own(folder):
    cfg = config(folder, [dict(type='ReversedChannels'), dict(type='OwnAnnotations'), PACK])
    item = ImagePipeline(cfg)(folder / 'img' / 'a.png')
    assert np.array_equal(
        item['inputs'].numpy()[::-1].transpose(1, 2, 0), cv2.imread(str(folder / 'img' / 'a.png'), -1)
    )
    image = cv2.imread(str(folder / 'img' / 'a.png'), -1)
    assert_like_the_test_set(config(folder, [dict(type='ReversedChannels'), RESIZE, PACK]), image)
    assert ImagePipeline(cfg)(np.zeros((9, 9, 4), np.uint8))['data_samples'].img_path is None
    with pytest.raises(TypeError, match=r'float32 array .* ReversedChannels loads images its own way'):
        ImagePipeline(cfg)(np.zeros((9, 9, 3), np.float32))
    pipeline = ImagePipeline(config(folder, [dict(type='Ramp'), PACK]))
    assert pipeline(folder / 'img' / 'a.png')['inputs'].shape == (3, 4, 4)
    with pytest.raises(TypeError, match=r'uint8 array of shape \(9, 9, 3\).* give a file'):
        pipeline(np.zeros((9, 9, 3), np.uint8))


def test_a_pipeline_made_for_arrays_takes_files(folder):
    pipeline = ImagePipeline(config(folder, [dict(type='LoadImageFromNDArray', color_type='grayscale'), PACK]))
    expected = cv2.imread(str(folder / 'img' / 'a.png'), cv2.IMREAD_GRAYSCALE)
    for image in (folder / 'img' / 'a.png', expected):
        assert np.array_equal(pipeline(image)['inputs'][0].numpy(), expected)


def test_the_test_set_is_found_inside_its_wrappers(folder):
    inner = config(folder, [LOADERS['four channels'], RESIZE, PACK]).test_dataloader.dataset
    inner.pipeline.insert(1, dict(type='LoadAnnotations'))
    other = {**inner, 'pipeline': [*inner.pipeline[:1], *inner.pipeline[2:]]}
    for wrapper in (
        dict(type='ConcatDataset', datasets=[inner, other]),
        dict(type='RepeatDataset', times=2, dataset=inner),
        dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner])),
    ):
        cfg = Config(dict(test_dataloader=dict(dataset=wrapper)))
        assert ImagePipeline(cfg)(folder / 'img' / 'a.png')['inputs'].shape == (4, 24, 40)
    other['pipeline'] = [LOADERS['plain'], PACK]
    with pytest.raises(ValueError, match='different pipelines'):
        ImagePipeline(Config(dict(test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[inner, other])))))


def test_a_config_without_a_test_set(folder):
    assert ImagePipeline(Config(dict(test_pipeline=[LOADERS['plain'], PACK])))(folder / 'img' / 'a.png')
    with pytest.raises(ValueError, match='no test pipeline'):
        ImagePipeline(Config(dict(model=dict())))


def test_new_style_configs_name_classes(folder):
    file = folder / 'config.py'
    file.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from .base import *\n'
        'from mmseg.datasets import BaseSegDataset\n'
        'from mmseg.datasets.transforms import LoadAnnotations, LoadImageFromFile, PackSegInputs\n'
        "steps = [dict(type=LoadImageFromFile, color_type='unchanged'), dict(type=LoadAnnotations), "
        'dict(type=PackSegInputs)]\n'
        "test_dataloader = dict(dataset=dict(type=BaseSegDataset, metainfo=dict(classes=('a', 'b')), "
        f"img_suffix='.png', data_root={str(folder)!r}, "
        "data_prefix=dict(img_path='img', seg_map_path='seg'), pipeline=steps))\n"
    )
    (folder / 'base.py').write_text("default_scope = 'mmseg'\n")
    cfg = Config.fromfile(file)
    assert_like_the_test_set(cfg, folder / 'img' / 'a.png')
    image = cv2.imread(str(folder / 'img' / 'a.png'), -1)
    assert_like_the_test_set(config(folder, [dict(type='ReversedChannels'), RESIZE, PACK]), image)


def test_a_file_that_the_loader_leaves_out(folder):
    (folder / 'torn.png').write_bytes(b'no image')
    pipeline = ImagePipeline(config(folder, [dict(type='LoadImageFromFile', ignore_empty=True), PACK]))
    with pytest.raises(ValueError, match=r'torn\.png'):
        pipeline(folder / 'torn.png')


def test_the_picture_is_what_was_loaded(folder):
    cfg = config(folder, [LOADERS['four channels'], RESIZE, PACK])
    _, picture = ImagePipeline(cfg).with_picture(folder / 'img' / 'a.png')
    assert np.array_equal(picture, cv2.imread(str(folder / 'img' / 'a.png'), -1))
