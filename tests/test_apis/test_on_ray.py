"""A model as a stage of Ray Data: its rows, and two workers of Ray's own."""

import io
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from mmseg.apis import inference_model, init_model
from mmseg.apis.on_ray import RayStage

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(init_model(CONFIG, device='cpu').state_dict(), file)
    return str(file)


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """Images of two sizes, and one that is none."""
    folder, rng = tmp_path_factory.mktemp('photos'), np.random.default_rng(0)
    files = [str(folder / f'{i}.png') for i in range(5)]
    for i, file in enumerate(files):
        cv2.imwrite(file, cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (64 + 32 * (i % 2), 64)))
    Path(files[3]).write_bytes(b'not an image')
    return files


def check(rows, weights, paths):
    model = init_model(CONFIG, weights, 'cpu')
    assert sorted(row['path'] for row in rows) == paths
    for row in rows:
        if row['path'] == paths[3]:
            assert paths[3] in row['error'] and row['labels'] == b''
            continue
        expected = inference_model(model, row['path']).pred_sem_seg.data[0].numpy()
        assert np.array_equal(np.array(PIL.Image.open(io.BytesIO(row['labels']))), expected) and row['error'] == ''
    return rows


def test_rows_get_the_bytes_of_results(weights, paths):
    stage = RayStage(CONFIG, weights, 'cpu', save=['labels', 'overlay'])
    batch = stage(dict(path=np.array(paths, object), number=np.arange(5)))
    assert {*batch} == {'path', 'number', 'labels', 'overlay', 'error'} and batch['number'].tolist() == [*range(5)]
    check([{name: column[i] for name, column in batch.items()} for i in range(5)], weights, paths)
    picture = cv2.imdecode(np.frombuffer(batch['overlay'][1], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] == 64 and picture.shape[1] > 96


def test_wrong_use_is_refused(weights):
    with pytest.raises(ValueError, match=r"rows can have overlay, labels.* not \['csv'\]"):
        RayStage(CONFIG, weights, 'cpu', save=['csv'])
    with pytest.raises(ValueError, match='weights are missing'):
        RayStage(CONFIG)
    with pytest.raises(ValueError, match="need a column 'path'.* these have file"):
        RayStage(CONFIG, weights, 'cpu')(dict(file=np.array(['a.png'])))


def test_two_workers_of_ray(weights, paths):
    pytest.importorskip('ray.data')
    import ray

    ray.init('local', num_cpus=3, include_dashboard=False, object_store_memory=2**27, log_to_driver=False)
    try:
        files = ray.data.from_items([dict(path=path) for path in paths], override_num_blocks=3)
        rows = files.map_batches(
            RayStage, fn_constructor_args=(str(CONFIG), weights, 'cpu'), batch_size=2, concurrency=2
        )
        check(rows.take_all(), weights, paths)
    finally:
        ray.shutdown()
