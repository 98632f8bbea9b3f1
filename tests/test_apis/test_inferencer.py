"""MMSegInferencer, used as mmsegmentation's documentation does."""

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.structures import SegDataSample

CONFIG = str(Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(CONFIG, device='cpu')


@pytest.fixture(scope='module')
def inferencer(model):
    return MMSegInferencer(model)


@pytest.fixture
def images(tmp_path):
    paths = []
    for i, name in enumerate(('demo.png', 'street.jpg')):
        paths.append(str(tmp_path / 'images' / name))
        Path(paths[-1]).parent.mkdir(exist_ok=True)
        cv2.imwrite(paths[-1], np.random.default_rng(i).integers(0, 256, (48 + 16 * i, 64, 3), dtype=np.uint8))
    return paths


def test_it_is_built_from_a_config_and_weights(model, tmp_path):
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    inferencer = MMSegInferencer(model=CONFIG, weights=str(tmp_path / 'a.pth'), device='cpu')
    image = np.zeros((48, 64, 3), np.uint8)
    expected = inference_model(model, image).pred_sem_seg.data[0].numpy()
    assert np.array_equal(inferencer(image)['predictions'], expected)


def test_one_image_gives_no_lists(inferencer, images):
    for image in (images[0], cv2.imread(images[0]), PIL.Image.open(images[0])):
        result = inferencer(image)
        assert set(result) == {'predictions', 'visualization'}
        assert result['predictions'].shape == (48, 64) and result['visualization'].shape == (48, 64, 3)
    assert isinstance(inferencer(images[0], return_datasamples=True), SegDataSample)


@pytest.mark.parametrize('batch_size', [1, 2])
def test_several_images_give_lists_in_their_order(model, inferencer, images, batch_size):
    several = [cv2.imread(images[1]), *images, cv2.imread(images[0])]
    result = inferencer(several, batch_size=batch_size)
    for image, labels, drawn in zip(several, result['predictions'], result['visualization'], strict=True):
        assert np.array_equal(labels, inference_model(model, image).pred_sem_seg.data[0].numpy())
        assert drawn.shape == (*labels.shape, 3)
    samples = inferencer(several, return_datasamples=True)
    assert isinstance(samples, list) and isinstance(samples[0], SegDataSample)
    assert isinstance(inferencer([images[0]])['predictions'], list)
    assert inferencer(several, return_vis=False)['visualization'] == [None] * 4


def test_a_folder_and_files_written(inferencer, images, tmp_path):
    out = tmp_path / 'outputs'
    result = inferencer(str(tmp_path / 'images'), out_dir=str(out), img_out_dir='vis', pred_out_dir='pred')
    assert [labels.shape for labels in result['predictions']] == [(48, 64), (64, 64)]
    assert sorted(path.name for path in (out / 'vis').iterdir()) == ['demo.png', 'street.jpg']
    assert sorted(path.name for path in (out / 'pred').iterdir()) == ['demo.png', 'street.png']
    assert np.array_equal(cv2.imread(str(out / 'vis' / 'demo.png'))[..., ::-1], result['visualization'][0])
    assert np.array_equal(cv2.imread(str(out / 'pred' / 'street.png'), -1), result['predictions'][1])
    inferencer(images, out_dir=str(tmp_path / 'one'), img_out_dir='')
    assert [path.name for path in (tmp_path / 'one').iterdir()] == ['pred']


def test_colours_and_names_of_ones_own(model, images):
    palette = [[i, 255 - i, 7] for i in range(8)]
    inferencer = MMSegInferencer(model, classes=[f'c{i}' for i in range(8)], palette=palette)
    result = inferencer(images[0], opacity=1.0, with_labels=False)
    assert np.array_equal(result['visualization'], np.array(palette, np.uint8)[result['predictions']])
    assert inferencer.result(images[0]).classes.names[0] == 'c0'
    assert MMSegInferencer(model, dataset_name='cityscapes').result(images[0]).classes.names[0] == 'road'


def test_names_of_models_are_listed():
    assert 'lrformer-t-160k_ade20k' in MMSegInferencer.list_models('mmseg')


def test_a_result_shows_itself(inferencer, images, tmp_path):
    result = inferencer.result(images[0])
    assert result.labels.shape == (48, 64) and result.labels.dtype == np.uint8 and result.name == 'demo'
    assert sum(result.areas().values()) == pytest.approx(1)
    drawn = result.plot()
    assert drawn.shape[0] == 48 and drawn.shape[1] > 64
    assert np.array_equal(cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), 1)[..., ::-1], drawn)
    result.save(tmp_path / 'a.png', legend=False, opacity=0.0)
    assert np.array_equal(cv2.imread(str(tmp_path / 'a.png')), cv2.imread(images[0]))
    with pytest.raises(ValueError, match=r"'.xyz'; use .png or .jpg"):
        result.save(tmp_path / 'a.xyz')


def test_colours_may_be_an_array_and_a_batch_is_no_less_than_an_image(model, images):
    palette = np.array([[i, 255 - i, 7] for i in range(8)])
    inferencer = MMSegInferencer(model, classes=np.array([f'c{i}' for i in range(8)]), palette=palette)
    assert inferencer.result(images[0]).classes.names[7] == 'c7'
    result = inferencer(images[0], opacity=1.0, with_labels=False)
    assert np.array_equal(result['visualization'], palette.astype(np.uint8)[result['predictions']])
    with pytest.raises(ValueError, match='batch_size=0'):
        inferencer(images, batch_size=0)


@pytest.mark.parametrize('wrong', [None, 3.5, np.zeros((2, 4, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(inferencer, wrong):
    with pytest.raises((TypeError, ValueError), match='not an image'):
        inferencer(wrong)
