import sys
from collections import OrderedDict
from unittest.mock import MagicMock

import cv2
import mmengine.visualization
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import PixelData

from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from mmseg.visualization.local_visualizer import spread_palette

PALETTE = [[255, 0, 0], [0, 250, 10], [3, 2, 200]]
META = {'classes': ('red', 'green', 'blue'), 'palette': PALETTE}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def sample(gt=None, pred=None):
    data_sample = SegDataSample()
    if gt is not None:
        data_sample.gt_sem_seg = PixelData(data=torch.as_tensor(gt)[None])
    if pred is not None:
        data_sample.pred_sem_seg = PixelData(data=torch.as_tensor(pred)[None])
    return data_sample


def maps():
    gt = np.full((6, 8), 255, dtype=np.uint8)
    gt[:2], gt[2:4, :3] = 0, 2
    pred = np.ones((6, 8), dtype=np.int64)
    pred[5, 7] = 2
    return gt, pred


def draw(image, data_sample, alpha=1.0, **options):
    visualizer = SegLocalVisualizer(alpha=alpha)
    visualizer.dataset_meta = META
    visualizer.add_datasample('name', image, data_sample, **options)
    return visualizer.get_image()


def test_colours_are_exact_and_ignored_pixels_untouched(image):
    gt, pred = maps()
    before = image.copy()
    drawn = draw(image, sample(gt, pred))
    assert drawn.shape == (6, 16, 3)
    assert np.array_equal(image, before)
    left, right = drawn[:, :8], drawn[:, 8:]
    for index, colour in enumerate(PALETTE):
        assert (left[gt == index] == colour).all()
        assert (right[pred == index] == colour).all()
    assert np.array_equal(left[gt == 255], image[gt == 255])


def test_blend(image):
    _, pred = maps()
    drawn = draw(image, sample(pred=pred), alpha=0.3)
    expected = 0.7 * image + 0.3 * np.array(PALETTE)[pred]
    assert np.abs(drawn - expected).max() <= 0.5 + 1e-6
    assert np.array_equal(draw(image, sample(pred=pred), alpha=0.0), image)


def test_panels(image):
    gt, pred = maps()
    both = sample(gt, pred)
    assert draw(image, both, draw_gt=False).shape == (6, 8, 3)
    assert (draw(image, both, draw_pred=False)[:2] == PALETTE[0]).all()
    assert np.array_equal(draw(image, None), image)
    assert np.array_equal(draw(image, sample()), image)


def test_needs_no_matplotlib(image, monkeypatch):
    def fail(*_):
        raise AssertionError('matplotlib was asked for')

    monkeypatch.setattr(mmengine.visualization.Visualizer, '_initialize_fig', fail)
    assert draw(image, sample(*maps())).shape == (6, 16, 3)


def test_mmengine_drawing_still_works(image):
    visualizer = SegLocalVisualizer(image=image)
    assert visualizer.get_image().shape == image.shape
    visualizer.set_image(np.zeros((40, 50, 3), np.uint8))
    visualizer.draw_bboxes(torch.tensor([[5, 5, 30, 30]]), edge_colors='r')
    assert visualizer.get_image()[..., 0].any()


def test_writes_files(image, tmp_path):
    _, pred = maps()
    visualizer = VISUALIZERS.build(
        {
            'type': 'mmseg.SegLocalVisualizer',
            'name': 'test_writes_files',
            'vis_backends': [{'type': 'LocalVisBackend'}],
            'save_dir': str(tmp_path),
            'alpha': 1.0,
        }
    )
    visualizer.dataset_meta = META
    visualizer.add_datasample('seen', image, sample(pred=pred), step=7)
    visualizer.add_datasample('unseen', image, sample(pred=pred), out_file=str(tmp_path / 'new' / 'ä b.png'))
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*.png'))
    assert files == ['new/ä b.png', 'vis_data/vis_image/seen_7.png']
    for file in files:
        written = cv2.imread(str(tmp_path / file))[..., ::-1]
        assert np.array_equal(written, np.array(PALETTE, np.uint8)[pred])


def test_given_colours_win_over_the_running_datasets(image):
    visualizer = SegLocalVisualizer(alpha=1.0, palette=[[9, 9, 9]] * 3)
    visualizer.dataset_meta = META
    visualizer.add_datasample('name', image, sample(pred=maps()[1]))
    assert (visualizer.get_image() == 9).all()
    assert visualizer.dataset_meta['classes'] == META['classes']


def test_palette_of_its_own(image):
    gt, pred = maps()
    visualizer = SegLocalVisualizer(alpha=1.0)
    visualizer.add_datasample('name', image, sample(gt, pred))
    drawn = visualizer.get_image()
    assert len(np.unique(drawn[:, 8:].reshape(-1, 3), axis=0)) == 2
    assert np.array_equal(drawn[:, :8][gt == 255], image[gt == 255])
    assert len(np.unique(spread_palette(171), axis=0)) == 171


def test_names_lie_in_their_regions():
    image = np.zeros((200, 300, 3), np.uint8)
    pred = np.zeros((200, 300), np.int64)
    pred[:, 150:] = 1
    pred[:, :2] = 2  # too small for a name
    drawn = draw(image, sample(pred=pred), with_labels=True)
    plain = draw(image, sample(pred=pred))
    changed = np.argwhere((drawn != plain).any(axis=2))
    assert len(changed) > 50
    for half in (changed[changed[:, 1] < 150], changed[changed[:, 1] >= 150]):
        y, x = half.mean(axis=0)
        assert abs(y - 100) < 25
        assert min(abs(x - 75), abs(x - 225)) < 15


def test_bad_input(image):
    with pytest.raises(ValueError, match='6 x 8 .* 3 x 8'):
        draw(image, sample(pred=np.zeros((3, 8), np.int64)))
    with pytest.raises(ValueError, match='alpha'):
        SegLocalVisualizer(alpha=2)
    with pytest.raises(TypeError, match='opacity'):
        SegLocalVisualizer(opacity=0.5)


@pytest.mark.parametrize(
    ('library', 'backend'),
    [
        ('wandb', dict(type='WandbVisBackend', init_kwargs=dict(project='lrformer'))),
        ('mlflow', dict(type='MLflowVisBackend', exp_name='lrformer')),
    ],
)
def test_other_loggers_are_a_line_of_config(library, backend, tmp_path, monkeypatch):
    """mmengine's, for who has the libraries."""
    fake = MagicMock()
    monkeypatch.setitem(sys.modules, library, fake)
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())  # an earlier test's writes to what was captured then
    visualizer = SegLocalVisualizer(name=library, vis_backends=[backend], save_dir=str(tmp_path))
    visualizer.add_scalars({'loss': 0.5}, step=3)
    assert 'loss' in str(fake.mock_calls) and '0.5' in str(fake.mock_calls)
