"""What a report counts, against counting one pixel at a time; the same for any order and number of processes."""

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.evaluation import IoUMetric
from mmseg.report.collecting import SCORE_BINS, image_iou
from mmseg.report.pictures import NOTHING, Gallery, encode_pictures
from mmseg.report.regions import BANDS, SIDES, band_counts, border_counts, size_counts, to_frame, to_other_class
from mmseg.report.spread import image_counts, interval, mean_iou, resampled_iou

from .samples import CLASSES, collected, one_image, report_metric


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 12), width=st.integers(1, 12), classes=st.integers(1, 4), seed=st.integers(0, 999))
def test_distances_are_those_of_looking_at_all_pixels(height, width, classes, seed):
    labels = np.random.default_rng(seed).integers(0, classes, (height, width))
    places = np.argwhere(np.ones_like(labels))
    found, frame = to_other_class(labels), to_frame(labels.shape)
    for y, x in places:
        others = places[labels.ravel() != labels[y, x]]
        nearest = np.abs(others - (y, x)).max(axis=1).min() if len(others) else height + width
        assert found[y, x] == nearest
        assert frame[y, x] == min(y + 1, x + 1, height - y, width - x)


def test_borders_are_eroded_masks_as_published():
    """Boundary IoU's own way: a mask without what is left of it after as many erosions as the band is wide."""
    _, sample = one_image(30, 96, 128)
    label, pred = (field.data[0].numpy() for field in (sample.gt_sem_seg, sample.pred_sem_seg))
    known = label != 255
    width = round(0.02 * np.hypot(96, 128))
    square = np.ones((3, 3), np.uint8)

    def band(mask):
        padded = np.pad(mask.astype(np.uint8), 1)
        return mask & (cv2.erode(padded, square, iterations=width)[1:-1, 1:-1] == 0)

    hit, labelled, predicted = border_counts(label, pred, known, 3)
    for index in range(3):
        truth, said = band(label == index) & known, band(pred == index) & known
        assert [hit[index], labelled[index], predicted[index]] == [(truth & said).sum(), truth.sum(), said.sum()]
    bands = band_counts(label, pred, known, 3)
    assert bands.shape == (len(BANDS) + 1, 3, 3) and bands[:, 1].sum() == known.sum()


def test_regions_by_size():
    label = np.zeros((40, 60), int)
    label[2:12, 2:12] = 1  # 100 pixels, of which 49 are found
    label[20:40, 20:40] = 1  # 400, all found
    label[0, 59] = 255
    pred = np.where(label == 255, 1, label)
    pred[2:12, 2:12] = 0
    pred[2:9, 2:9] = 1
    counts = size_counts(label, pred, label != 255, 2)
    assert counts[0, :, 1].tolist() == [49, 100, 0, 1] and counts[1, :, 1].tolist() == [400, 400, 1, 1]
    assert counts[:, 1].sum() == 40 * 60 - 1 and counts.shape[0] == len(SIDES) + 1


def test_the_matrix_is_the_metrics():
    metric, iou = collected(range(9)), IoUMetric()
    iou.dataset_meta = metric.dataset_meta
    for number in range(9):
        iou.process(None, [one_image(number)[1].to_dict()])
    assert np.array_equal(metric.facts.matrix, iou._matrix.numpy())
    assert metric.metric_names == [] and metric.evaluate(9) == {}
    alone = report_metric()
    batch, sample = one_image(5)
    alone.process(batch, [sample.to_dict()])
    figures = iou.compute_metrics([alone.facts.matrix])
    assert round(100 * image_iou(alone.facts.images['images/0005.jpg']), 2) == figures['mIoU']


def test_confidences_of_logits_of_probabilities_and_of_one_score():
    metric = collected(range(3), scores=True)
    assert metric.facts.scores.sum() == metric.facts.matrix.sum()
    assert metric.facts.scores[1].sum() == np.trace(metric.facts.matrix)
    label, pred = torch.tensor([[0, 1, 255]]), torch.tensor([[0, 0, 1]])
    logits = torch.tensor([[[2.0, 3.0, 0.0]], [[1.0, -1.0, 4.0]]])
    shares = logits.softmax(0)
    expected = np.zeros((2, SCORE_BINS), int)
    expected[1, int(shares[0, 0, 0] * SCORE_BINS)] = expected[0, int(shares[0, 0, 1] * SCORE_BINS)] = 1
    assert np.array_equal(metric._confidences(logits, label, pred), expected)
    metric.probabilities = True
    assert np.array_equal(metric._confidences(7 * shares, label, pred), expected)  # as sums over queries
    assert np.array_equal(metric._confidences(shares[1:], label, pred), expected)  # of two classes, the second


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1) | st.just(float('nan')), min_size=1, max_size=40), st.integers(1, 9), st.randoms())
def test_kept_pictures_depend_on_neither_order_nor_process(scores, third, random):
    images = [(f'{i}.jpg', score) for i, score in enumerate(scores)]
    shuffled = random.sample(images, len(images))
    whole, parts = Gallery(3 * third), [Gallery(3 * third), Gallery(3 * third)]

    def fill(gallery, part):
        for name, score in part:
            gallery.add(name, score, lambda name=name: ({'image': name}, b''))

    fill(whole, images)
    fill(parts[0], shuffled[::2])
    fill(parts[1], shuffled[1::2])
    parts[0].merge(parts[1])
    for kind in ('worst', 'best', 'sample'):
        assert getattr(whole, kind).names == getattr(parts[0], kind).names
    assert whole.pictures == parts[0].pictures and whole.thumbs.keys() == dict(images).keys()
    known = sorted((score, name) for name, score in images if score == score)
    assert whole.worst.names == [name for _, name in known[:third]]
    assert len(whole.pictures) <= 3 * third and all(p == {'image': name} for name, p in whole.pictures.items())


def test_pictures_hold_labels_exactly_also_beyond_255():
    label = np.array([[0, 1, 299], [300, 256, 5]])
    pictures, _ = encode_pictures(
        np.zeros((2, 3, 3), np.uint8), label, label[::-1], label != 5, np.zeros((301, 3), np.uint8)
    )
    for name, expected in (('label', np.where(label == 5, NOTHING, label)), ('pred', label[::-1])):
        blue, green, red = np.moveaxis(cv2.imdecode(np.frombuffer(pictures[name], np.uint8), 1).astype(int), 2, 0)
        assert np.array_equal(red + 256 * green, expected) and not blue.any()


def test_pictures_are_bounded():
    image = np.random.default_rng(0).integers(0, 255, (3000, 1000, 3)).astype(np.uint8)
    labels = image[..., 0] % 3
    pictures, thumb = encode_pictures(image, labels, labels, labels < 9, np.zeros((3, 3), np.uint8))
    assert [cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape for data in (*pictures.values(), thumb)] == [
        (640, 213, 3)
    ] * 3 + [(128, 43, 3)]


def test_spread_over_images_and_of_differences():
    facts = collected(range(12)).facts
    names = sorted(facts.images)
    counts = image_counts(facts.images, names, len(CLASSES))
    assert np.array_equal(counts.toarray().sum(axis=0)[:4], np.diag(facts.matrix))
    first, second = resampled_iou([counts, counts], len(CLASSES))
    assert np.array_equal(first, second, equal_nan=True)  # the same draws
    low, high = interval(mean_iou(first))
    hit = np.diag(facts.matrix)
    iou = hit / np.maximum(facts.matrix.sum(0) + facts.matrix.sum(1) - hit, 1)
    assert low < iou[:3].mean() < high and np.isnan(interval(first)[0][3])
    low, high = interval(mean_iou(resampled_iou([image_counts(facts.images, names[:1], 4)], 4)[0]))
    assert low == high  # of one image


def test_bad_use_is_refused():
    metric = report_metric()
    batch, sample = one_image(1)
    del sample.gt_sem_seg
    with pytest.raises(ValueError, match='0001.jpg: .*LoadAnnotations'):
        metric.process(batch, [sample.to_dict()])


PROCESS = """
    import datetime, pickle, sys
    import torch
    from mmseg.engine.launch import run_program
    from tests.test_report.samples import report_metric, one_image
    rank, world, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    torch.distributed.init_process_group('gloo', 'file://' + store, datetime.timedelta(seconds=60), world, rank)
    metric = report_metric(pictures=9, scores=True)
    for number in range(rank, 31, world):
        batch, sample = one_image(number)
        metric.process(batch, [sample.to_dict()])
    metric.evaluate(31)
    with open(out + str(rank), 'wb') as file:
        pickle.dump(metric.facts, file)
    run_program(lambda: 0)  # end together: PyTorch aborts some processes that outlive others
"""


def test_two_processes_find_what_one_finds(tmp_path):
    command = [sys.executable, '-c', textwrap.dedent(PROCESS)]
    ends = [str(tmp_path / 'store'), str(tmp_path / 'facts')]
    root = Path(__file__).parents[2]
    processes = [subprocess.Popen([*command, str(rank), '2', *ends], cwd=root) for rank in range(2)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    one = collected(range(31), pictures=9, scores=True).facts
    for rank in range(2):
        two = pickle.loads((tmp_path / f'facts{rank}').read_bytes())
        for name in ('matrix', 'borders', 'bands', 'sizes', 'scores'):
            assert np.array_equal(getattr(one, name), getattr(two, name)), name
        assert one.gallery.pictures == two.gallery.pictures and one.gallery.thumbs == two.gallery.thumbs
        assert one.images.keys() == two.images.keys()
        assert all(np.array_equal(one.images[name], two.images[name]) for name in one.images)


def test_views_of_an_image_and_images_without_a_file():
    """Test-time augmentation gives a list of batches; what has no path gets a number."""
    metric = report_metric()
    batch, sample = one_image(3)
    sample.set_metainfo(dict(img_path=None))
    blue, green, red = batch['inputs'][0]
    blue[:], green[:], red[:] = 200, 100, 50
    for _ in range(2):
        metric.process(dict(inputs=[batch['inputs'], batch['inputs']]), [sample.to_dict()])
    metric.evaluate(2)
    assert list(metric.facts.images) == ['image_000000', 'image_000001']
    picture = cv2.imdecode(np.frombuffer(metric.facts.gallery.pictures['image_000001']['image'], np.uint8), 1)
    assert np.abs(picture - np.array([200.0, 100.0, 50.0])).max() < 4  # a JPEG
