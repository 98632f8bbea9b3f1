from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg.apis import inference_model, init_model, show_result_pyplot

CONFIGS = Path(__file__).parents[2] / 'configs_local' / 'lrformer'


@pytest.fixture(scope='module')
def model():
    return init_model(CONFIGS / 'lrformer-n_scenes-128x128.py', device='cpu')


def image(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_model_is_ready_for_use(model):
    assert not model.training
    assert model.dataset_meta['classes'][0] == 'sky' and len(model.dataset_meta['palette']) == 8


def test_an_array_and_its_file_give_the_same(model, tmp_path):
    cv2.imwrite(str(tmp_path / 'street.png'), image(70, 90))
    results = inference_model(model, [image(70, 90), str(tmp_path / 'street.png')])
    assert torch.equal(results[0].pred_sem_seg.data, results[1].pred_sem_seg.data)
    assert results[0].pred_sem_seg.data.shape == (1, 70, 90)


def test_one_image_gives_one_result_and_sizes_may_differ(model):
    assert inference_model(model, image(64, 80)).pred_sem_seg.data.shape == (1, 64, 80)
    sizes = [r.pred_sem_seg.data.shape[1:] for r in inference_model(model, [image(64, 80), image(100, 50)])]
    assert sizes == [(64, 80), (100, 50)]


def test_the_pipeline_of_the_config_is_used():
    """ADE20K's test pipeline resizes; predictions come back at the image's size all the same."""
    cfg = Config.fromfile(CONFIGS / 'lrformer-t-160k_ade20k.py')
    cfg.model.backbone.update(variant='n')
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 64)
    model, seen = init_model(cfg, device='cpu'), []
    model.backbone.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    result = inference_model(model, image(200, 300))
    assert seen == [(1, 3, 64, 96)]
    assert result.pred_sem_seg.data.shape == (1, 200, 300)


def test_weights_come_from_the_checkpoint(model, tmp_path):
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'c.pth')
    again = init_model(CONFIGS / 'lrformer-n_scenes-128x128.py', tmp_path / 'c.pth', device='cpu')
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_averaged_weights_are_taken_unless_told_otherwise(model, tmp_path):
    averaged = model.state_dict()
    last = {name: value + 1 for name, value in averaged.items()}
    swapped = {'steps': torch.tensor(3), **{f'module.{name}': value for name, value in last.items()}}
    torch.save(dict(state_dict=averaged, ema_state_dict=swapped), tmp_path / 'iter_3.pth')  # as EMAHook saves them
    torch.save(dict(state_dict=averaged), tmp_path / 'plain.pth')
    for file, options, expected in (
        ('iter_3.pth', {}, averaged),
        ('iter_3.pth', dict(weights='last'), last),
        ('plain.pth', dict(weights='last'), averaged),
    ):
        loaded = init_model(model.cfg, tmp_path / file, 'cpu', **options).state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in expected.items()), (file, options)
    with pytest.raises(ValueError, match="weights='best' is neither"):
        init_model(model.cfg, tmp_path / 'plain.pth', 'cpu', weights='best')
    torch.save(dict(state_dict=averaged, ema_state_dict=averaged), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="not of mmengine's EMAHook"):
        init_model(model.cfg, tmp_path / 'other.pth', 'cpu', weights='last')


def test_the_picture_is_drawn_and_saved(model, tmp_path):
    picture = image(64, 80)
    result = inference_model(model, picture)
    drawn = show_result_pyplot(model, picture, result, opacity=1.0, with_labels=False, out_file=str(tmp_path / 'o.png'))
    colours = np.array(model.dataset_meta['palette'], dtype=np.uint8)[result.pred_sem_seg.data[0].numpy()]
    assert np.array_equal(drawn, colours)
    assert np.array_equal(cv2.imread(str(tmp_path / 'o.png'))[..., ::-1], colours)


def test_a_model_with_half_of_its_names_and_colours_is_drawn(model, monkeypatch):
    picture = image(64, 80)
    result = inference_model(model, picture)
    names, colours = model.dataset_meta['classes'], np.array(model.dataset_meta['palette'])
    for meta in (dict(classes=names), dict(palette=colours), dict(classes=np.array(names), palette=colours), None):
        monkeypatch.setattr(model, 'dataset_meta', meta)
        assert show_result_pyplot(model, picture, result).shape == (64, 80, 3)


@pytest.mark.parametrize('wrong', [None, 3, ['a.py']])
def test_what_is_no_config_is_refused(wrong):
    with pytest.raises(TypeError, match='expected a config file'):
        init_model(wrong)


def test_any_image_that_was_segmented_can_be_drawn(model, tmp_path):
    picture = image(64, 80)
    result = inference_model(model, picture)
    for same in (
        picture[..., 0],
        np.dstack([picture, picture[..., :1]]),
        torch.from_numpy(picture),
        str(tmp_path / 'a.png'),
    ):
        cv2.imwrite(str(tmp_path / 'a.png'), picture)
        assert show_result_pyplot(model, same, result, title='mine', save_dir=str(tmp_path / 'kept')).shape == (
            64,
            80,
            3,
        )
    assert list((tmp_path / 'kept').rglob('mine_0.png'))
