"""Files for Cityscapes' server, and the scores of its scripts where these are installed."""

import fnmatch
import importlib.util

import numpy as np
import pytest
from PIL import Image

from mmseg.datasets import ADE20KDataset, CityscapesDataset
from mmseg.evaluation import CityscapesMetric, IoUMetric

from .test_iou_metric import sample

needs_scripts = pytest.mark.skipif(
    importlib.util.find_spec('cityscapesscripts') is None, reason='needs cityscapesscripts'
)
NAMES = [f'berlin_00000{i}_000019' for i in range(3)]


def samples(root, classes, **meta):
    return [
        sample(c, img_path=str(root / f'leftImg8bit/test/berlin/{name}_leftImg8bit.png'), **meta)
        for name, c in zip(NAMES, classes, strict=True)
    ]


@pytest.mark.parametrize('kind', [CityscapesMetric, IoUMetric])
def test_files_for_the_server(tmp_path, kind):
    """Label ids of all classes, in one file for each frame that the server's pattern finds."""
    metric = kind(output_dir=str(tmp_path), format_only=True)
    metric.dataset_meta = CityscapesDataset(lazy_init=True).metainfo
    classes = np.arange(19).reshape(1, 19)
    metric.process(None, samples(tmp_path, [classes] * 3))
    assert metric.evaluate(3) == {} and metric.metric_names == []
    files = sorted(path.name for path in tmp_path.rglob('*.png'))
    assert [len(fnmatch.filter(files, f'{name}*.png')) for name in NAMES] == [1, 1, 1]
    written = np.asarray(Image.open(tmp_path / files[0]))
    expected = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert written.dtype == np.uint8 and written.tolist() == [expected]


def test_label_ids_follow_the_choice_of_classes():
    meta = CityscapesDataset(metainfo=dict(classes=('car', 'road')), lazy_init=True).metainfo
    assert meta['label_ids'] == [26, 7]
    meta = CityscapesDataset(metainfo=dict(classes=('car', 'road'), label_ids=[1, 2]), lazy_init=True).metainfo
    assert meta['label_ids'] == [1, 2]
    assert ADE20KDataset(lazy_init=True).metainfo['label_ids'] == list(range(1, 151))
    with pytest.raises(ValueError, match='label_ids has 1 labels for 2 classes'):
        CityscapesDataset(metainfo=dict(classes=('car', 'road'), label_ids=[1]), lazy_init=True)


def test_what_cannot_be_scored_is_refused(tmp_path):
    with pytest.raises(ValueError, match='keep_results'):
        CityscapesMetric(str(tmp_path), format_only=True, keep_results=False)
    metric = CityscapesMetric(str(tmp_path), format_only=True)
    metric.dataset_meta = dict(classes=('a',))
    with pytest.raises(ValueError, match='label_ids'):
        metric.process(None, samples(tmp_path, [[[0]]] * 3))


@needs_scripts
@pytest.mark.parametrize('keep_results', [True, False])
def test_scores_are_those_of_iou_metric(tmp_path, keep_results):
    rng = np.random.default_rng(0)
    meta = CityscapesDataset(lazy_init=True).metainfo
    ids = np.array(meta['label_ids'], np.uint8)
    labels = [rng.integers(0, 19, (20, 30)) for _ in NAMES]
    preds = [np.where(rng.random(label.shape) < 0.7, label, rng.integers(0, 19, label.shape)) for label in labels]
    for name, label in zip(NAMES, labels, strict=True):
        Image.fromarray(ids[label]).save(tmp_path / f'{name}_gtFine_labelIds.png')
        Image.fromarray(np.zeros(label.shape, np.uint16)).save(tmp_path / f'{name}_gtFine_instanceIds.png')
    metric = CityscapesMetric(str(tmp_path / 'out'), keep_results=keep_results)
    plain = IoUMetric()
    metric.dataset_meta = plain.dataset_meta = meta
    for name, label, pred in zip(NAMES, labels, preds, strict=True):
        trained = tmp_path / f'{name}_gtFine_labelTrainIds.png'
        batch = [sample(pred, label, img_path=f'{name}_leftImg8bit.png', seg_map_path=str(trained))]
        metric.process(None, batch)
        plain.process(None, batch)
    scores = metric.evaluate(3)
    assert list(scores) == metric.metric_names
    assert scores['averageScoreClasses'] * 100 == pytest.approx(plain.evaluate(3)['mIoU'], abs=0.01)
    assert len(list((tmp_path / 'out').glob('*.png'))) == 3 * keep_results
    with pytest.raises(FileNotFoundError, match='gtFine_trainvaltest'):
        metric.process(None, [sample(preds[0], img_path='a.png', seg_map_path='a_gtFine_labelTrainIds.png')])
    with pytest.raises(ValueError, match='format_only=True'):
        metric.process(None, [sample(preds[0], img_path='a.png')])
