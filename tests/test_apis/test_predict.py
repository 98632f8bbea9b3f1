"""Results in a folder: what is in them, what is left out, and what is refused."""

import copy
import csv
import errno
import json
import os
import signal
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from timm.layers import LayerScale2d
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.apis import inference_model, init_model, predict
from mmseg.apis.predict import Prediction
from mmseg.inference import flow, folder
from mmseg.inference.quality import fuse_batch_norms, fuse_layer_scales
from mmseg.inference.sources import Entry, frames

CONFIG = Path(__file__).parents[2] / 'configs_local' / 'lrformer' / 'lrformer-n_scenes-128x128.py'
EVERY = ['overlay', 'labels', 'scores', 'geojson', 'labelme', 'csv', 'coco', 'coco-polygons']


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(CONFIG, device='cpu')


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i, name in enumerate(('a.jpg', 'sub/b.png', 'sub/a.jpg', 'c.png')):
        path = tmp_path / 'photos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (64 + 16 * (i % 2), 64)))
    return tmp_path / 'photos'


def labels_of(path):
    return np.array(PIL.Image.open(path))


def areas(path):
    with open(path / 'areas.csv', newline='') as file:
        return list(csv.DictReader(file))


def files(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob('*') if p.is_file() and '.predict' not in p.parts)


def test_every_kind_of_result(model, photos, tmp_path):
    out = tmp_path / 'out'
    summary = predict(model, photos, out, save=EVERY, batch_size=2)
    assert (summary.done, summary.skipped, summary.failed) == (4, 0, 0)
    names = ['a', 'c', 'sub/a', 'sub/b']
    kinds = dict(overlay='jpg', labels='png', scores='npz', geojson='geojson', labelme='json')
    expected = [f'{folder}/{name}.{suffix}' for folder, suffix in kinds.items() for name in names]
    assert files(out) == sorted([*expected, 'areas.csv', 'coco.json', 'coco-polygons.json'])

    sample = inference_model(model, photos / 'sub' / 'b.png', scores=True)
    expected = sample.pred_sem_seg.data[0].numpy()
    palette = PIL.Image.open(out / 'labels' / 'sub' / 'b.png')
    assert np.array_equal(np.array(palette), expected) and palette.mode == 'P'
    assert palette.getpalette()[:24] == sum(model.dataset_meta['palette'], [])
    scores = np.load(out / 'scores' / 'sub' / 'b.npz')
    assert scores['scores'].dtype == np.float16 and scores['classes'].tolist() == list(model.dataset_meta['classes'])
    np.testing.assert_allclose(scores['scores'], sample.seg_logits.data.softmax(0), atol=1e-3)
    assert cv2.imread(str(out / 'overlay' / 'sub' / 'b.jpg')).shape[0] == 64

    rows = [row for row in areas(out) if row['image'] == 'sub/b']
    values, pixels = np.unique(expected, return_counts=True)
    counts = {model.dataset_meta['classes'][v]: n for v, n in zip(values, pixels, strict=True)}
    assert {row['class']: int(row['pixels']) for row in rows} == counts
    assert sum(float(row['share']) for row in rows) == pytest.approx(1, abs=1e-5)

    shapes = json.loads((out / 'labelme' / 'sub' / 'b.json').read_text())
    assert (shapes['imageHeight'], shapes['imageWidth']) == expected.shape
    features = json.loads((out / 'geojson' / 'sub' / 'b.geojson').read_text())['features']
    for feature in features:
        rings = feature['geometry']['coordinates']
        assert all(ring[0] == ring[-1] for ring in rings)
        assert {'name', 'color'} == set(feature['properties']['classification'])


def test_coco_is_read_by_its_own_tools(model, photos, tmp_path, capsys):
    coco = pytest.importorskip('pycocotools.coco')
    predict(model, photos, tmp_path / 'out', save=['labels', 'coco', 'coco-polygons'])
    for kind in ('coco', 'coco-polygons'):
        dataset = coco.COCO(str(tmp_path / 'out' / f'{kind}.json'))
        assert [image['file_name'] for image in dataset.imgs.values()] == ['a.jpg', 'c.png', 'sub/a.jpg', 'sub/b.png']
        for number, image in dataset.imgs.items():
            labels = labels_of(tmp_path / 'out' / 'labels' / Path(image['file_name']).with_suffix('.png'))
            assert labels.shape == (image['height'], image['width'])
            covered = 0
            for annotation in dataset.imgToAnns[number]:
                mask = dataset.annToMask(annotation).astype(bool)
                covered += annotation['area']
                if isinstance(annotation['segmentation'], dict):
                    assert (labels[mask] == annotation['category_id'] - 1).all() and mask.sum() == annotation['area']
            assert covered <= labels.size and (kind == 'coco-polygons' or covered == labels.size)


def test_a_broken_file_is_reported_counted_and_left_out(model, photos, tmp_path, capsys):
    (photos / 'bad.jpg').write_bytes(b'no image')
    (photos / 'empty.png').write_bytes(b'')
    cv2.imwrite(str(photos / 'tiny.png'), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(photos / 'thin.png'), np.zeros((1, 5000, 3), np.uint8))
    summary = predict(model, photos, tmp_path / 'out', save=['labels', 'csv'], batch_size=3)
    assert (summary.done, summary.failed) == (4, 4) and len(summary.errors) == 4
    printed = capsys.readouterr().err
    for name, reason in (('bad.jpg', 'not an image'), ('empty.png', '0 bytes'), ('tiny.png', '32x32 is the smallest')):
        assert any(name in line and reason in line for line in printed.splitlines()), printed
    assert files(tmp_path / 'out') == ['areas.csv', *(f'labels/{n}.png' for n in ('a', 'c', 'sub/a', 'sub/b'))]
    again = predict(model, photos, tmp_path / 'out', save=['labels', 'csv'], batch_size=3, resume=True)
    assert (again.done, again.skipped, again.failed) == (0, 4, 4)


def test_the_last_run_counts_whoever_did_it(model, photos, tmp_path):
    """An image that failed in another process of an earlier run, and was mended."""
    (photos / 'c.png').write_bytes(b'no image')
    options = dict(out_dir=tmp_path / 'out', save=['labels', 'csv'], resume=True)
    assert predict(model, photos, **options).failed == 1
    journal = tmp_path / 'out' / '.predict' / 'journal-000001-0000.jsonl'
    journal.rename(journal.with_name('journal-000001-0007.jsonl'))
    cv2.imwrite(str(photos / 'c.png'), np.zeros((48, 40, 3), np.uint8))
    assert predict(model, photos, **options).done == 1
    assert 'c' in {row['image'] for row in areas(tmp_path / 'out')}
    assert predict(model, photos, **options).skipped == 4


def test_lack_of_memory_is_the_images_fault_and_a_bug_is_not(model, photos, tmp_path, monkeypatch):
    step = type(model).test_step

    def narrow(self, data):
        if any(image.shape[-1] > 64 for image in data['inputs']):
            raise RuntimeError('CUDA out of memory. Tried to allocate 7 GiB\nmore')
        return step(self, data)

    monkeypatch.setattr(type(model), 'test_step', narrow)
    summary = predict(model, photos, tmp_path / 'out', save=['labels'], batch_size=3)
    assert (summary.done, summary.failed) == (2, 2) and summary.errors[0].endswith('7 GiB')
    monkeypatch.setattr(type(model), 'test_step', lambda self, data: torch.zeros(2) + torch.zeros(3))
    with pytest.raises(RuntimeError, match='size of tensor'):
        predict(model, photos, tmp_path / 'out', save=['labels'])


def test_resume_does_what_is_missing_or_changed(model, photos, tmp_path):
    options = dict(out_dir=tmp_path / 'out', save=['labels', 'csv'])
    predict(model, photos, **options)
    (tmp_path / 'out' / 'labels' / 'a.png').unlink()
    cv2.imwrite(str(photos / 'c.png'), np.zeros((48, 40, 3), np.uint8))
    cv2.imwrite(str(photos / 'new.png'), np.zeros((48, 40, 3), np.uint8))
    summary = predict(model, photos, resume=True, **options)
    assert (summary.done, summary.skipped) == (3, 2)
    assert labels_of(tmp_path / 'out' / 'labels' / 'c.png').shape == (48, 40)
    assert {row['image'] for row in areas(tmp_path / 'out')} == {*('a', 'c', 'new', 'sub/a', 'sub/b')}
    for changed in (dict(threshold=0.5), dict(save=['labels'])):
        with pytest.raises(ValueError, match=f'other settings .*{next(iter(changed))}'):
            predict(model, photos, resume=True, **{**options, **changed})
    assert predict(model, photos, **options).done == 5


@pytest.mark.parametrize('table', ['areas.csv', 'coco.json', 'coco-polygons.json'])
def test_a_table_of_somebody_else_is_not_overwritten(model, photos, tmp_path, table):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / table).write_text('mine')
    with pytest.raises(FileExistsError, match=f'{table} is a file that predict did not write'):
        predict(model, photos, tmp_path / 'out')
    assert (tmp_path / 'out' / table).read_text() == 'mine'


def test_the_first_image_that_shares_a_name_keeps_it(model, photos, tmp_path):
    cv2.imwrite(str(photos / 'c.jpg'), np.zeros((48, 40, 3), np.uint8))
    predict(model, photos, tmp_path / 'out', save=['labels'])
    assert labels_of(tmp_path / 'out' / 'labels' / 'c.png').shape == (48, 40)
    assert labels_of(tmp_path / 'out' / 'labels' / 'c.png.png').shape == (64, 80)


def test_inputs_and_other_files_are_never_overwritten(model, photos, tmp_path):
    (photos / 'labels').mkdir()
    (photos / 'labels' / 'a.png').write_bytes(b'annotation')
    with pytest.raises(FileExistsError, match=r'labels holds files that predict did not write'):
        predict(model, photos / 'a.jpg', photos)
    assert (photos / 'labels' / 'a.png').read_bytes() == b'annotation'
    before = (photos / 'sub' / 'a.jpg').read_bytes()
    predict(model, photos, photos / 'sub', save=['overlay'])
    assert (photos / 'sub' / 'a.jpg').read_bytes() == before
    assert predict(model, photos, photos / 'sub', save=['overlay']).done == 4  # the overlays are no inputs


def test_only_some_classes_and_unsure_pixels(model, photos, tmp_path):
    whole = inference_model(model, photos / 'a.jpg', scores=True)
    labels, highest = whole.pred_sem_seg.data[0].numpy(), whole.seg_logits.data.softmax(0).amax(0).numpy()
    values = np.unique(labels)
    names = model.dataset_meta['classes']
    level = float(np.median(highest))
    predict(model, photos / 'a.jpg', tmp_path / 'one', save=['labels', 'csv'], classes=[names[values[0]]])
    only = labels_of(tmp_path / 'one' / 'labels' / 'a.png')
    assert np.array_equal(only, np.where(labels == values[0], labels, 255))
    predict(model, photos / 'a.jpg', tmp_path / 'two', save=['labels', 'csv'], threshold=level)
    unsure = labels_of(tmp_path / 'two' / 'labels' / 'a.png')
    assert np.array_equal(unsure, np.where(highest < level, 8, labels)) and (unsure == 8).any()
    assert 'unsure' in (tmp_path / 'two' / 'areas.csv').read_text()
    with pytest.raises(ValueError, match="no class 'skyy'; did you mean 'sky'"):
        predict(model, photos, tmp_path / 'three', classes=['skyy'])


def test_images_in_memory(model, photos, tmp_path):
    array = cv2.imread(str(photos / 'a.jpg'))
    inputs = [array, PIL.Image.open(photos / 'a.jpg'), torch.from_numpy(array).permute(2, 0, 1), photos / 'a.jpg']
    assert predict(model, inputs, tmp_path / 'out', save=['labels']).done == 4
    paths = sorted((tmp_path / 'out' / 'labels').iterdir())
    assert [path.stem for path in paths] == ['a', 'image_000000', 'image_000001', 'image_000002']
    assert len({path.read_bytes() for path in paths}) == 1
    assert predict(model, (a for a in [array] * 3), tmp_path / 'later', save=['labels'], batch_size=2).done == 3
    assert predict(model, [None], tmp_path / 'none').errors[0].startswith('None: not an image: None')


def test_a_video_becomes_a_video(model, tmp_path):
    path, rng = str(tmp_path / 'clip.avi'), np.random.default_rng(0)
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 12, (64, 48))
    for _ in range(7):
        writer.write(cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (64, 48)))
    writer.release()
    options = dict(out_dir=tmp_path / 'out', save=['overlay', 'labels', 'csv'], batch_size=3)
    assert predict(model, path, **options).done == 7
    drawn = list(frames(str(tmp_path / 'out' / 'overlay' / 'clip.mp4')))
    assert len(drawn) == 7 and drawn[0].shape[0] == 48 and drawn[0].shape[1] > 64
    for number, frame in enumerate(frames(path)):
        expected = inference_model(model, frame).pred_sem_seg.data[0].numpy()
        assert np.array_equal(labels_of(tmp_path / 'out' / 'labels' / 'clip' / f'{number:06d}.png'), expected)
    again = predict(model, path, resume=True, **options)
    assert (again.done, again.skipped) == (0, 1)
    (tmp_path / 'empty.mp4').write_bytes(b'')
    broken = predict(model, [tmp_path / 'empty.mp4', 97], tmp_path / 'broken')
    assert broken.failed == 2 and 'empty.mp4' in broken.errors[0] and 'camera 97' in broken.errors[1]


def test_a_video_of_odd_size_loses_nothing(tmp_path):
    results = folder.ResultFolder(str(tmp_path), ['overlay'], {})
    results.prepare(resume=False)
    picture = np.zeros((47, 63, 3), np.uint8)
    picture[40:] = picture[:, 60:] = 255
    for _ in range(3):
        results.write_frame(picture, Entry('a/odd', 'nowhere.mp4', is_video=True))
    results.finish_video(Entry('a/odd', 'nowhere.mp4', is_video=True), 3)
    frame = next(frames(str(tmp_path / 'overlay' / 'a' / 'odd.mp4')))
    assert frame.shape == (48, 64, 3) and frame[-2:].min() > 200 and frame[:, -2:].min() > 200


def test_a_model_without_classes_and_one_with_many(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(model, 'dataset_meta', {})
    predict(model, photos / 'a.jpg', tmp_path / 'out')
    assert 'class ' in (tmp_path / 'out' / 'areas.csv').read_text()
    monkeypatch.setattr(model, 'dataset_meta', dict(classes=['only this'], palette=np.array([[1, 2, 3]])))
    predict(model, photos / 'a.jpg', tmp_path / 'few')
    assert 'class ' in (tmp_path / 'few' / 'areas.csv').read_text()
    monkeypatch.setattr(model, 'dataset_meta', dict(classes=[f'c{i}' for i in range(300)], palette=None))
    predict(model, photos / 'a.jpg', tmp_path / 'many')
    assert labels_of(tmp_path / 'many' / 'labels' / 'a.png').dtype == np.uint16


def test_a_full_disk_ends_the_run_and_what_is_written_is_whole(model, photos, tmp_path, monkeypatch):
    real, count = folder._write, []

    def write(path, content):
        count.append(path)
        if len(count) > 4:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        real(path, content)

    monkeypatch.setattr(folder, '_write', write)
    with pytest.raises(OSError, match='No space left'):
        predict(model, photos, tmp_path / 'out', save=['labels', 'geojson', 'csv'])
    monkeypatch.undo()
    assert predict(model, photos, tmp_path / 'out', save=['labels', 'geojson', 'csv'], resume=True).done >= 3
    assert len(files(tmp_path / 'out')) == 9


def test_ctrl_c_ends_at_once(model, photos, tmp_path):
    out, taken, stopped = tmp_path / 'out', [], []

    def many():
        while True:
            taken.append(photos / 'a.jpg')
            yield taken[-1]

    def interrupt():
        while len(list(out.rglob('*.png'))) < 3:
            time.sleep(0.01)
        stopped.append(len(taken))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        predict(model, many(), out, save=['labels'])
    assert len(taken) - stopped[0] < 25  # no more than were on their way
    for path in out.rglob('*.png'):
        assert labels_of(path).shape == (64, 64)
    assert not list(out.rglob('*.unfinished'))
    end = time.monotonic() + 60
    while threading.active_count() > before:
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)


def test_ctrl_c_ends_a_stream_as_its_end_would(model, tmp_path, monkeypatch):
    def camera(source):
        for i in range(10**6):
            if i == 5:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            yield np.full((48, 64, 3), i % 256, np.uint8)

    monkeypatch.setattr(flow, 'frames', camera)
    summary = predict(model, 0, tmp_path / 'out', save=['overlay', 'csv'])
    assert summary.done >= 5
    assert len(list(frames(str(tmp_path / 'out' / 'overlay' / 'camera-0.mp4')))) == summary.done
    assert 'camera-0/000004' in (tmp_path / 'out' / 'areas.csv').read_text()


def test_images_do_not_pile_up(model, photos, tmp_path):
    waiting = []

    def images():
        for taken in range(60):
            waiting.append(taken - len(list((tmp_path / 'out').rglob('*.png'))))
            yield cv2.imread(str(photos / 'a.jpg'))

    predict(model, images(), tmp_path / 'out', save=['labels'], workers=2)
    assert max(waiting) < 25


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(save=['picture']), r"saved as overlay, labels.* not \['picture'\]"),
        (dict(save=[]), 'saved as'),
        (dict(batch_size=0), 'batch_size=0'),
        (dict(opacity=2), 'opacity=2'),
        (dict(threshold=1.5), 'no probability'),
        (dict(checkpoint='a.pth'), 'checkpoint, weights, backend and cfg_options are for a model'),
        (dict(weights='last'), 'checkpoint, weights, backend and cfg_options are for a model'),
    ],
)
def test_wrong_arguments_are_refused(model, photos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Prediction(model, photos, tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()


def test_weights_must_be_given(photos, tmp_path):
    with pytest.raises(ValueError, match='weights are missing'):
        Prediction(CONFIG, photos, tmp_path / 'out')


def test_a_network_without_its_config_is_refused_with_a_way_on(photos, tmp_path):
    with pytest.raises(ValueError, match='Conv2d has no cfg: build it with init_model'):
        Prediction(torch.nn.Conv2d(3, 2, 1), photos, tmp_path / 'out')


def test_faster_models_agree(model, photos, tmp_path):
    with torch.no_grad():  # norms that do something
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        for norm in norms:
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
        for module in model.modules():
            if isinstance(module, LayerScale2d):
                module.gamma.uniform_(-2, 2)
    fused = copy.deepcopy(model)
    assert fuse_batch_norms(fused) == 5  # of 9: those that follow a convolution
    assert fuse_layer_scales(fused) == sum(isinstance(module, LayerScale2d) for module in model.modules()) > 0
    assert not any(isinstance(module, LayerScale2d) for module in fused.modules())
    expected = inference_model(model, photos / 'a.jpg', scores=True).seg_logits.data
    again = inference_model(fused, photos / 'a.jpg', scores=True).seg_logits.data
    torch.testing.assert_close(again, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    for name, options in dict(fuse=dict(fuse=True), amp=dict(amp='bfloat16'), half=dict(half=True)).items():
        predict(model, photos / 'a.jpg', tmp_path / name, save=['scores'], **options)
        scores = np.load(tmp_path / name / 'scores' / 'a.npz')['scores'].astype(np.float32)
        np.testing.assert_allclose(scores, expected.softmax(0), atol=2e-3 if name == 'fuse' else 0.05)
    assert torch.equal(inference_model(model, photos / 'a.jpg', scores=True).seg_logits.data, expected)
