from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mmseg.engine.hooks.visualization_hook import SegVisualizationHook
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer


@pytest.fixture
def runner(tmp_path):
    visualizer = SegLocalVisualizer(
        vis_backends=[{'type': 'LocalVisBackend'}], save_dir=str(tmp_path / 'run'), alpha=0.0
    )
    visualizer.dataset_meta = {'classes': ('a', 'b'), 'palette': [[255, 0, 0], [0, 0, 255]]}
    return SimpleNamespace(visualizer=visualizer, iter=400)


def batch(*paths, size=(6, 8), inputs=None, **meta):
    samples = []
    for path in paths:
        sample = SegDataSample(metainfo={'img_path': path, 'img_shape': size, **meta})
        sample.pred_sem_seg = PixelData(data=torch.zeros(1, *size, dtype=torch.int64))
        samples.append(sample)
    inputs = torch.zeros(3, *size, dtype=torch.uint8) if inputs is None else inputs
    return {'inputs': [inputs] * len(paths)}, samples


def pictures(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.png'))


def test_every_interval_th_image_of_any_batches(runner, tmp_path):
    hook = SegVisualizationHook(draw=True, interval=3)
    for _ in range(2):
        hook.before_val_epoch(runner)
        for i, names in enumerate((['s0', 's1'], ['s2', 's3'], ['s4'], ['s5', 's6'])):
            hook.after_val_iter(runner, i, *batch(*names))
        runner.iter += 400
    expected = [f'val_s{i}_{step}.png' for i in (0, 3, 6) for step in (400, 800)]
    assert pictures(tmp_path / 'run' / 'vis_data' / 'vis_image') == expected


def test_does_nothing_unless_asked(runner, tmp_path):
    SegVisualizationHook(interval=1).after_test_iter(runner, 0, *batch('s0'))
    assert pictures(tmp_path) == []


def test_out_dir_keeps_images_of_one_name_apart(runner, tmp_path):
    hook = SegVisualizationHook(interval=1, out_dir=str(tmp_path / 'show'))
    for path in ('val/bern/1.jpg', 'val/ulm/1.jpg', 'val/ulm/2.jpg', 'val/bern/1.jpg'):
        hook.after_test_iter(runner, 0, *batch(path))
    assert pictures(tmp_path) == ['show/1.png', 'show/2.png', 'show/ulm_1.png']
    hook.after_val_iter(runner, 0, *batch('val/bern/1.jpg'))
    assert 'show/1_400.png' in pictures(tmp_path)


def test_picture_comes_from_the_file(runner, tmp_path):
    bgr = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'in.png'), bgr)
    hook = SegVisualizationHook(interval=1, out_dir=str(tmp_path / 'show'))
    hook.after_test_iter(runner, 0, *batch(str(tmp_path / 'in.png')))
    assert np.array_equal(cv2.imread(str(tmp_path / 'show' / 'in.png')), bgr)


def test_picture_without_file_comes_from_the_batch(runner, tmp_path):
    bgr = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    inputs = torch.from_numpy(bgr).permute(2, 0, 1)
    hook = SegVisualizationHook(interval=1, out_dir=str(tmp_path / 'show'))
    hook.after_test_iter(runner, 0, *batch('scene/0001', inputs=inputs))
    assert np.array_equal(cv2.imread(str(tmp_path / 'show' / '0001.png')), bgr)

    # Enlarged and padded by the pipeline: the picture has the size of the prediction again.
    padded = np.zeros((16, 20, 3), np.uint8)
    padded[:12, :16] = np.repeat(np.repeat(bgr, 2, axis=0), 2, axis=1)
    data = batch('scene/0002', inputs=torch.from_numpy(padded).permute(2, 0, 1))
    data[1][0].set_metainfo({'img_shape': (12, 16)})
    hook.after_test_iter(runner, 0, *data)
    assert np.array_equal(cv2.imread(str(tmp_path / 'show' / '0002.png')), bgr)


def test_bad_interval():
    with pytest.raises(ValueError, match='interval'):
        SegVisualizationHook(interval=0)


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 5])
def test_pictures_of_images_of_other_channels(runner, tmp_path, channels):
    inputs = torch.randint(0, 256, (channels, 6, 8), dtype=torch.uint8)
    hook = SegVisualizationHook(interval=1, out_dir=str(tmp_path / 'show'))
    hook.after_test_iter(runner, 0, *batch(None, inputs=inputs))
    shown = torch.from_numpy(cv2.imread(str(tmp_path / 'show' / 'image_0.png'))).permute(2, 0, 1)
    assert torch.equal(shown, inputs[:3] if channels >= 3 else inputs[:1].expand(3, -1, -1))
