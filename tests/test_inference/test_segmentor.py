"""The network on images, from one thread or several, and what it refuses."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry

from mmseg.apis import inference_model, init_model
from mmseg.inference import Segmentor
from mmseg.registry import DATASETS

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'
PLUS = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-t-plus-160k_ade20k-512x512.py'


def config(channels=3, **loader):
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.in_channels = channels
    cfg.model.data_preprocessor.update(mean=[100.0] * channels, std=[50.0] * channels, bgr_to_rgb=channels == 3)
    if loader:
        cfg.test_dataloader.dataset = dict(
            type='BaseSegDataset',
            metainfo=dict(classes=[str(i) for i in range(8)]),
            img_suffix='.png',
            pipeline=[
                dict(dict(type='LoadImageFromFile'), **loader),
                dict(type='AlignResize', scale=(96, 64), size_divisor=32),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs'),
            ],
        )
    return cfg


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(config(), device='cpu')


def image(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize('loader', [dict(type='mmcv.LoadImageFromFile'), {}], ids=['scoped', 'plain'])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_a_file_and_an_array_give_what_the_test_loop_gives(tmp_path, channels, loader):
    """Four channels ended in a size mismatch: the loader was rebuilt from its name, without its arguments."""
    color_type = {1: 'grayscale', 3: 'color', 4: 'unchanged'}[channels]
    cfg = config(channels, color_type=color_type, **loader)
    model = init_model(cfg, device='cpu')
    for name in ('img', 'seg'):
        (tmp_path / name).mkdir()
    array = image(50, 70, channels)
    cv2.imwrite(str(tmp_path / 'img' / 'a.png'), array)
    cv2.imwrite(str(tmp_path / 'seg' / 'a.png'), array[..., 0] % 8)
    prefix = dict(img_path=str(tmp_path / 'img'), seg_map_path=str(tmp_path / 'seg'))
    sample = DATASETS.build({**cfg.test_dataloader.dataset, 'data_prefix': prefix})[0]
    with torch.no_grad():
        expected = model.test_step(pseudo_collate([sample]))[0].pred_sem_seg.data
    for given in (tmp_path / 'img' / 'a.png', array):
        assert torch.equal(inference_model(model, given).pred_sem_seg.data, expected)


def test_a_file_of_other_channels_is_refused_before_the_network(tmp_path):
    cv2.imwrite(str(tmp_path / 'four.png'), image(50, 70, 4))
    cv2.imwrite(str(tmp_path / 'grey.png'), image(50, 70, 1))
    model = init_model(config(3, color_type='unchanged'), device='cpu')
    model.forward = None
    for name, channels in (('four', 4), ('grey', 1)):
        with pytest.raises(ValueError, match=rf'{name}\.png.* with {channels} channels, .* takes 3') as caught:
            inference_model(model, tmp_path / f'{name}.png')
        assert '\n' not in str(caught.value)
    with pytest.raises(ValueError, match=r'uint8 array of shape \(50, 70, 4\) comes .* with 4 channels'):
        inference_model(model, image(50, 70, 4))


def test_images_are_loaded_when_their_turn_comes_and_one_at_a_time(model, monkeypatch):
    """Forty images were one batch."""
    sizes, loaded = [], []
    step = type(model).test_step
    monkeypatch.setattr(
        type(model), 'test_step', lambda self, data: (sizes.append(len(data['inputs'])), step(self, data))[1]
    )

    def images(count):
        for i in range(count):
            loaded.append(i)
            yield image(40, 40, seed=i)

    results = Segmentor(model).samples(images(3))
    next(results)
    assert loaded == [0] and sizes == [1]
    list(results)
    assert sizes == [1, 1, 1]
    together = inference_model(model, list(images(5)), batch_size=2)
    assert sizes[3:] == [2, 2, 1]
    alone = inference_model(model, images(5))
    assert len(alone) == 5
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)


@pytest.mark.parametrize('batch_size', [0, -1, 2.5, '2', None])
def test_a_batch_has_an_image_at_least(model, batch_size):
    with pytest.raises(ValueError, match=f'batch_size={batch_size!r}: it must be a whole number'):
        inference_model(model, [image(40, 40)], batch_size=batch_size)


def test_every_label_has_a_name_and_a_colour(model, monkeypatch):
    """A checkpoint may state fewer names than its model has scores."""
    for meta in (dict(classes=('a', 'b'), palette=np.zeros((2, 3))), dict(classes=('a', 'b')), {}, None):
        monkeypatch.setattr(model, 'dataset_meta', meta)
        classes = Segmentor(model).classes
        assert len(classes.names) == len(classes.palette) == model.num_classes
        assert (
            classes.names[0] == ('a' if meta else 'class 0') and classes.names[-1] == f'class {len(classes.names) - 1}'
        )


def test_a_result_holds_its_labels_and_no_more(model):
    result = inference_model(model, [image(64, 80)])[0]
    labels = result.pred_sem_seg.data
    assert labels.untyped_storage().nbytes() == labels.numel() * labels.element_size()
    assert set(result.keys()) == {'pred_sem_seg'}


def test_scores_are_there_when_asked_for(model):
    with_scores = inference_model(model, image(64, 80), scores=True)
    assert with_scores.seg_logits.data.shape == (8, 64, 80)
    assert torch.equal(with_scores.seg_logits.data.argmax(0, keepdim=True), with_scores.pred_sem_seg.data)
    assert 'seg_logits' not in inference_model(model, image(64, 80))


def test_scores_of_mask2former_are_sums_over_queries():
    cfg = Config.fromfile(PLUS)
    cfg.model.backbone.variant = 'n'
    cfg.test_dataloader.dataset.pipeline[1].scale = (64, 64)
    scores = inference_model(init_model(cfg, device='cpu'), image(64, 64), scores=True).seg_logits.data
    assert scores.shape == (150, 64, 64) and scores.min() >= 0


def test_a_model_that_cannot_give_scores_says_so():
    other = torch.nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match='Conv2d has no cfg: build it with init_model'):
        inference_model(other, image(9, 9))
    other.cfg = config()
    with pytest.raises(ValueError, match='Conv2d has no test_cfg with return_scores'):
        inference_model(other, image(9, 9), scores=True)


def test_eight_threads_share_a_model(model):
    images = [image(40 + 8 * i, 60, seed=i) for i in range(8)]
    expected = [inference_model(model, one, scores=True) for one in images]
    barrier = threading.Barrier(8)

    def work(i):
        barrier.wait()
        return [inference_model(model, images[i], scores=i % 2 == turn % 2) for turn in range(4)]

    with ThreadPoolExecutor(8) as pool:
        for i, results in enumerate(pool.map(work, range(8))):
            for turn, result in enumerate(results):
                assert torch.equal(result.pred_sem_seg.data, expected[i].pred_sem_seg.data)
                assert ('seg_logits' in result) == (i % 2 == turn % 2)


OTHER = Registry('model', parent=ROOT_MODELS, scope='other_scope')


@OTHER.register_module(name='EncoderDecoder')
class Stranger(torch.nn.Module):
    """Another project's class of the same name."""


@pytest.mark.parametrize('scope', [None, 'other_scope'])
def test_loading_leaves_the_scope_and_the_registries_as_they_were(model, scope):
    before = DefaultScope._instance_dict
    try:
        DefaultScope._instance_dict = type(before)()
        if scope:
            DefaultScope.get_instance('others', scope_name=scope)
        current, names = DefaultScope.get_current_instance(), set(ROOT_MODELS.module_dict)
        models = list(ThreadPoolExecutor(4).map(lambda _: init_model(config(), device='cpu'), range(4)))
        inference_model(models[0], image(40, 40))
        assert DefaultScope.get_current_instance() is current
        assert set(ROOT_MODELS.module_dict) == names
    finally:
        DefaultScope._instance_dict = before


def test_a_config_of_another_scope_builds_its_own_classes(model, tmp_path, monkeypatch):
    (tmp_path / 'other_scope').mkdir()
    (tmp_path / 'other_scope' / 'registry.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    cfg = config()
    cfg.default_scope = 'other_scope'
    cfg.model = dict(type='EncoderDecoder', backbone={})
    OTHER.module_dict['EncoderDecoder'].__init__ = lambda self, backbone: torch.nn.Module.__init__(self)
    assert isinstance(init_model(cfg, device='cpu'), Stranger)
    assert not isinstance(init_model(config(), device='cpu'), Stranger)
