import json
import logging
import math
import re
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import PixelData

from mmseg.evaluation import IoUMetric
from mmseg.evaluation.metrics.figures import per_class_figures, render_table, scalar_names
from mmseg.structures import SegDataSample

ALL = ('mIoU', 'mDice', 'mFscore')


def sample(pred, label=None, **meta):
    data_sample = SegDataSample(metainfo={'img_path': 'images/a.jpg', **meta})
    data_sample.pred_sem_seg = PixelData(data=torch.as_tensor(pred)[None])
    if label is not None:
        data_sample.gt_sem_seg = PixelData(data=torch.as_tensor(label)[None])
    return data_sample


def metric_for(classes, **settings):
    metric = IoUMetric(**settings)
    metric.dataset_meta = {'classes': [f'class{i}' for i in range(classes)]}
    return metric


def random_images(seed, count, classes):
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        shape = tuple(rng.integers(1, 12, 2))
        label = rng.integers(0, classes, shape)
        label[rng.random(shape) < 0.2] = 255
        pred = np.where(rng.random(shape) < 0.6, np.minimum(label, classes - 1), rng.integers(0, classes, shape))
        images.append((pred, label))
    return images


def brute_force(images, classes, beta=1.0):
    """The definitions, one pixel and one class at a time."""
    hit, labelled, predicted = [0] * classes, [0] * classes, [0] * classes
    for pred, label in images:
        for p, t in zip(pred.ravel().tolist(), label.ravel().tolist(), strict=True):
            if t == 255:
                continue
            labelled[t] += 1
            predicted[p] += 1
            hit[t] += p == t

    def mean(values):
        values = [value for value in values if value is not None]
        return 100 * sum(values) / len(values) if values else math.nan

    def share(a, b):
        return a / b if b else None

    # A class that is there and never predicted has precision 0; F-score from counts (van Rijsbergen's form).
    precision = [share(h, p) if p else (0 if t else None) for h, p, t in zip(hit, predicted, labelled, strict=True)]
    recall = [share(h, t) for h, t in zip(hit, labelled, strict=True)]
    counts = list(zip(hit, labelled, predicted, strict=True))
    fscore = [share((1 + beta**2) * h, h + p - h + beta**2 * t) for h, t, p in counts]
    return {
        'aAcc': mean([share(sum(hit), sum(labelled))]),
        'mIoU': mean([share(h, t + p - h) for h, t, p in counts]),
        'mAcc': mean(recall),
        'mDice': mean([share(2 * h, t + p) for h, t, p in counts]),
        'mFscore': mean(fscore),
        'mPrecision': mean(precision),
        'mRecall': mean(recall),
    }


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 5),
    classes=st.integers(1, 9),
    beta=st.sampled_from([0.5, 1.0, 2.0]),
    dtype=st.sampled_from([torch.uint8, torch.int32, torch.int64]),
)
def test_equals_brute_force_for_any_batch_size(seed, count, classes, beta, dtype):
    images = random_images(seed, count, classes)
    samples = [sample(torch.as_tensor(pred), torch.as_tensor(label).to(dtype)) for pred, label in images]
    expected = brute_force(images, classes, beta)
    for batch_size in (1, 2, count):
        metric = metric_for(classes, iou_metrics=ALL, beta=beta)
        for i in range(0, count, batch_size):
            metric.process(None, [s.to_dict() for s in samples[i : i + batch_size]])
        result = metric.evaluate(count)
        assert result.keys() == expected.keys()
        for key, value in result.items():
            assert value == pytest.approx(expected[key], abs=0.0051, nan_ok=True), key


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 600),
    width=st.integers(1, 600),
    classes=st.integers(2, 255),
    ignore=st.sampled_from([255, 0, 100]),
    seed=st.integers(0, 2**32 - 1),
)
def test_counts_of_whole_images_are_those_of_a_plain_count(height, width, classes, ignore, seed):
    """All label values, sizes from 1 to 600: each pair of label and prediction, counted by looking for it."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, (height, width)).astype(np.uint8)
    label[rng.random(label.shape) < 0.1] = ignore
    pred = np.where(rng.random(label.shape) < 0.5, np.minimum(label, classes - 1), label[::-1, ::-1] % classes)
    metric = metric_for(classes, ignore_index=ignore)
    metric.process(None, [sample(pred.astype(np.int64), label)])
    matrix = metric._matrix.numpy()
    counts = Counter(zip(label.ravel().tolist(), pred.ravel().tolist(), strict=True))
    counts = {pair: count for pair, count in counts.items() if pair[0] != ignore}
    assert {pair: matrix[pair] for pair in counts} == counts
    assert matrix.sum() == sum(counts.values())


def test_known_numbers():
    label = [[0, 0, 1], [1, 255, 2]]
    pred = [[0, 1, 1], [1, 2, 0]]
    metric = metric_for(4)
    metric.process(None, [sample(pred, label)])
    # class 0: 1/3, class 1: 2/3, class 2: 0/1, class 3: absent from both
    assert metric.evaluate(1) == {'aAcc': 60.0, 'mIoU': 33.33, 'mAcc': 50.0}
    metric = metric_for(4, nan_to_num=0)
    metric.process(None, [sample(pred, label)])
    assert metric.evaluate(1) == {'aAcc': 60.0, 'mIoU': 25.0, 'mAcc': 37.5}


@settings(deadline=None, max_examples=60)
@given(
    matrix=st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=n, max_size=n)
    ),
    absent=st.sets(st.integers(0, 5)),
    unseen=st.sets(st.integers(0, 5)),
)
def test_no_figure_flatters(matrix, absent, unseen):
    """What is left out of a mean depends on the annotation alone, or on both being empty; F-score 1 is Dice."""
    matrix = np.array(matrix)
    matrix[[i for i in absent if i < len(matrix)]] = 0  # never annotated
    matrix[:, [i for i in unseen if i < len(matrix)]] = 0  # never predicted
    labelled, predicted = matrix.sum(1) > 0, matrix.sum(0) > 0
    figures = per_class_figures(matrix)
    assert np.array_equal(figures['Fscore'], figures['Dice'], equal_nan=True)
    for name, values in figures.items():
        known = labelled if name in ('Acc', 'Recall') else labelled | predicted
        assert np.array_equal(~np.isnan(values), known), name
        assert (values[labelled & ~predicted] == 0).all(), name
    for beta in (0.5, 2.0):
        fscore, precision, recall = (per_class_figures(matrix, beta)[n] for n in ('Fscore', 'Precision', 'Recall'))
        some = (precision > 0) & (recall > 0)
        expected = (1 + beta**2) * precision[some] * recall[some] / (beta**2 * precision[some] + recall[some])
        assert np.allclose(fscore[some], expected)


def test_a_class_that_is_never_predicted_lowers_all_means():
    metric = metric_for(3, iou_metrics=ALL)
    result = metric.compute_metrics([np.array([[50, 0, 0], [0, 50, 0], [10, 10, 0]])])
    assert result['mDice'] == result['mFscore'] == 60.61
    assert result['mPrecision'] == 55.56 and result['mRecall'] == 66.67


def test_figures_of_each_class_on_request():
    metric = metric_for(4, iou_metrics=['mIoU', 'mDice'], prefix='val', per_class=True)
    metric.dataset_meta = {'classes': ('car', 'traffic light', 'crack/hole', 'traffic_light')}
    metric.process(None, [sample([[0, 1, 1]], [[0, 1, 2]])])
    result = metric.evaluate(1)
    assert result['val/IoU.car'] == 100.0 and result['val/IoU.traffic_light'] == 50.0
    assert result['val/IoU.crack_hole'] == 0.0 and math.isnan(result['val/IoU.traffic_light_'])
    assert list(result) == metric.metric_names
    assert list(result)[:4] == ['val/aAcc', 'val/mIoU', 'val/mAcc', 'val/mDice']
    assert len(result) == 4 + 3 * 4
    assert not any('.' in key for key in metric_for(2, iou_metrics=ALL).compute_metrics([np.eye(2)]))


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_names_of_scalars_are_safe_and_different(classes):
    names = scalar_names(classes)
    assert len(set(names)) == len(classes)
    assert all(re.fullmatch(r'[\w.-]+', name) for name in names)


def test_classes_without_a_pixel_are_named_once(caplog):
    """Masks of 0 and 255 without a label_map: 255 is ignored, and there is no crack anywhere."""
    logger = MMLogger.get_instance('test_iou_metric')
    logger.addHandler(caplog.handler)
    metric = IoUMetric()
    metric.dataset_meta = {'classes': ('background', 'crack')}
    for label, warnings in (([[0, 255]], 1), ([[0, 255]], 0), ([[0, 1]], 0)):
        caplog.clear()
        metric.process(None, [sample([[0, 1]], label)])
        metric.evaluate(1)
        assert [r.levelname for r in caplog.records].count('WARNING') == warnings
        if warnings:
            assert "1 of 2 classes have no annotated pixel in any of these images: 'crack'" in caplog.text
            assert 'lrformer check CONFIG' in caplog.text


def test_rounds_are_independent_and_keys_are_chosen():
    metric = metric_for(2, iou_metrics=['mFscore'], prefix='val')
    for label in (0, 1):
        metric.process(None, [sample([[0, 0]], [[label, 0]])])
        result = metric.evaluate(1)
        assert list(result) == metric.metric_names == ['val/aAcc', 'val/mFscore', 'val/mPrecision', 'val/mRecall']
        assert result['val/aAcc'] == (50.0 if label else 100.0)


def test_nothing_labelled_gives_nan():
    metric = metric_for(2)
    metric.process(None, [sample([[0, 1]], [[255, 255]])])
    assert all(math.isnan(value) for value in metric.evaluate(1).values())


def test_ignored_pixels_may_be_predicted_as_anything():
    metric = metric_for(2)
    metric.process(None, [sample([[0, 255, 7]], [[0, 255, 255]])])
    assert metric.evaluate(1)['aAcc'] == 100.0
    metric = metric_for(2, ignore_index=1)
    metric.process(None, [sample([[0, 0]], [[0, 1]])])
    assert metric.evaluate(1)['aAcc'] == 100.0


def test_through_mmengine_evaluator():
    evaluator = Evaluator({'type': 'mmseg.IoUMetric', 'iou_metrics': ['mIoU']})
    evaluator.dataset_meta = {'classes': ('a', 'b')}
    result = evaluator.offline_evaluate([sample([[0, 1]], [[0, 1]]), sample([[0, 0]], [[0, 1]])])
    assert result['aAcc'] == 75.0


def test_keeps_no_images():
    metric = metric_for(3)
    for _ in range(5):
        metric.process(None, [sample([[0, 1, 2]], [[0, 1, 1]])])
    assert metric.results == []
    assert metric._matrix.shape == (3, 3)
    assert metric._matrix.sum() == 15


@pytest.mark.parametrize(
    ('pred', 'label', 'text'),
    [
        ([[0, 1]], [[0, 2]], 'class 2 in the annotation'),
        ([[0, 3]], [[0, 1]], 'class 3 in the prediction'),
        ([[0, 1]], [[-1, 1]], 'class -1 in the annotation'),
    ],
)
def test_class_out_of_range(pred, label, text):
    with pytest.raises(ValueError, match=rf'images/a\.jpg: {text}.*2 classes'):
        metric_for(2).process(None, [sample(pred, label)])


def test_bad_input():
    with pytest.raises(ValueError, match=r'images/a\.jpg.*1 x 3 .*1 x 2'):
        metric_for(2).process(None, [sample([[0, 1]], [[0, 1, 0]])])
    with pytest.raises(ValueError, match=r'images/a\.jpg.*LoadAnnotations'):
        metric_for(2).process(None, [sample([[0, 1]])])
    with pytest.raises(ValueError, match='mIou'):
        IoUMetric(iou_metrics=['mIou'])
    with pytest.raises(ValueError, match='output_dir'):
        IoUMetric(format_only=True)
    with pytest.raises(ValueError, match='beta'):
        IoUMetric(beta=0)
    with pytest.raises(ValueError, match='nan_to_num'):
        IoUMetric(nan_to_num=100)
    with pytest.raises(ValueError, match='class names'):
        IoUMetric().process(None, [sample([[0]], [[0]])])


def test_table(caplog):
    logger = MMLogger.get_instance('test_iou_metric')
    logger.addHandler(caplog.handler)
    metric = IoUMetric()
    metric.dataset_meta = {'classes': ('sky', '[bold]road', 'never')}
    metric.process(None, [sample([[0, 0, 1, 1]], [[0, 1, 1, 1]])])
    with caplog.at_level(logging.INFO):
        metric.evaluate(1)
    lines = [line for line in caplog.text.splitlines() if line.startswith('|')]
    assert lines == [
        '| Class      |   IoU |    Acc |',
        '|------------|-------|--------|',
        '| sky        | 50.00 | 100.00 |',
        '| [bold]road | 66.67 |  66.67 |',
        '| never      |   nan |    nan |',
        '| mean       | 58.33 |  83.33 |',
    ]


def test_table_never_wraps():
    lines = render_table(['Class', 'IoU'], [('x' * 150, [0.5])]).splitlines()
    assert len(lines) == 3
    assert 'x' * 150 in lines[2]


@pytest.mark.parametrize('reduce_zero_label', [False, True])
def test_writes_predictions(tmp_path, reduce_zero_label):
    metric = metric_for(3, output_dir=str(tmp_path / 'out'), format_only=True)
    pred = np.array([[0, 1, 2], [2, 1, 0]])
    metric.process(None, [sample(pred, img_path='val/a b.c.jpg', reduce_zero_label=reduce_zero_label)])
    assert metric.evaluate(1) == {} and metric.metric_names == []
    written = cv2.imread(str(tmp_path / 'out' / 'a b.c.png'), cv2.IMREAD_UNCHANGED)
    assert written.dtype == np.uint8
    assert np.array_equal(written, pred + reduce_zero_label)


def test_writes_the_labels_that_the_dataset_states(tmp_path):
    metric = metric_for(3, output_dir=str(tmp_path), format_only=True)
    metric.dataset_meta['label_ids'] = [7, 300, 26]
    metric.process(None, [sample([[0, 2]], reduce_zero_label=True), sample([[1, 2]], img_path='b.png')])
    for name, labels in (('a', [[7, 26]]), ('b', [[300, 26]])):
        assert cv2.imread(str(tmp_path / f'{name}.png'), cv2.IMREAD_UNCHANGED).tolist() == labels


def test_writes_and_measures_images_of_one_name(tmp_path):
    images = [sample([[i]], [[i]], img_path=f'val/{city}/0001.jpg') for i, city in enumerate(('bern', 'ulm'))]
    with pytest.raises(ValueError, match='bern.*ulm.*keep_folders=1'):
        metric_for(2, output_dir=str(tmp_path)).process(None, images)
    metric = metric_for(2, output_dir=str(tmp_path), keep_folders=1)
    metric.process(None, images)
    assert metric.evaluate(2)['aAcc'] == 100.0
    for i, city in enumerate(('bern', 'ulm')):
        assert cv2.imread(str(tmp_path / city / '0001.png'), cv2.IMREAD_UNCHANGED) == i


def test_writes_more_than_256_classes(tmp_path):
    metric = metric_for(300, output_dir=str(tmp_path), format_only=True)
    metric.process(None, [sample([[299, 0]])])
    assert cv2.imread(str(tmp_path / 'a.png'), cv2.IMREAD_UNCHANGED).tolist() == [[299, 0]]


PROCESS = """
    import datetime, json, sys
    import torch
    from mmseg.engine.launch import run_program
    from mmengine.dataset import DefaultSampler
    from tests.test_evaluation.test_iou_metric import ALL, metric_for, random_images, sample
    rank, world, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    timeout = datetime.timedelta(seconds=60)
    torch.distributed.init_process_group('gloo', 'file://' + store, timeout, world, rank)
    results = []
    for count in (1, 2, 7, 8):
        images = random_images(count, count, 5)
        for round_up in (True, False):
            metric = metric_for(5, iou_metrics=ALL)
            for i in DefaultSampler(range(count), shuffle=False, round_up=round_up):
                metric.process(None, [sample(*images[i])])
            results.append(metric.evaluate(count))
    # Shares that no sampler of ours deals: one process has nothing at all.
    metric = metric_for(5, iou_metrics=ALL)
    if rank == world - 1:
        metric.process(None, [sample(*image) for image in random_images(3, 3, 5)])
    results.append(metric.evaluate(3))
    print(json.dumps(results))
    run_program(lambda: 0)  # end together: PyTorch aborts some processes that outlive others
"""


def test_processes_add_up_to_one(tmp_path):
    """Unequal shares, repeated images and empty shares give exactly the figures of one process."""
    expected = []
    for count in (1, 2, 7, 8, 3):
        metric = metric_for(5, iou_metrics=ALL)
        metric.process(None, [sample(*image) for image in random_images(count, count, 5)])
        expected += [metric.evaluate(count)] * (1 if count == 3 else 2)

    world = 2
    command = [sys.executable, '-c', textwrap.dedent(PROCESS)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(world), str(tmp_path / 'store')],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for rank in range(world)
    ]
    try:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for output in outputs:
        assert json.loads(output.splitlines()[-1]) == expected
