"""Pictures of samples and classes."""

import cv2
import numpy as np
import pytest

from mmseg.datasets import BaseSegDataset, ConcatDataset, RepeatDataset
from mmseg.report.browsing import augmentations, grid, labels_of, steps
from mmseg.report.class_plots import class_pixels, confusion_plot, frequency_plot, legend_plot

PALETTE = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=(8, 8)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]


@pytest.fixture
def dataset(tmp_path):
    """Image i is grey of value i, and annotated with i % 2; its first pixel with 255."""
    for kind in ('images', 'labels'):
        (tmp_path / kind).mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.png'), np.full((10, 16, 3), 40 * i, np.uint8))
        labels = np.full((10, 16), i % 2, np.uint8)
        labels[0, 0] = 255
        cv2.imwrite(str(tmp_path / 'labels' / f'{i}.png'), labels)
    return BaseSegDataset(
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        metainfo=dict(classes=('even', 'odd')),
        pipeline=PIPELINE,
    )


def test_rows_of_augmentations_are_the_same_each_time(dataset):
    rows, again = (augmentations(dataset, [0, 1], 3, PALETTE) for _ in range(2))
    assert [[caption for caption, _ in row] for row in rows] == [['0.0', '0.1', '0.2'], ['1.0', '1.1', '1.2']]
    assert all(np.array_equal(a[1], b[1]) for x, y in zip(rows, again, strict=True) for a, b in zip(x, y, strict=True))
    assert rows[1][0][1].shape == (8, 8, 3) and (rows[1][0][1][7, 3] == [20, 148, 20]).all()  # grey 40 under green
    assert grid(rows, 40).shape == (2 * (20 + 40 + 4), 3 * 44, 3)


def test_steps_are_shown_one_by_one_also_of_wrapped_datasets(dataset):
    wrapped = ConcatDataset([dataset, RepeatDataset(dataset, times=2)])
    for index in (1, 4, 7):  # the second image, whoever holds it
        row = steps(wrapped, index, 0, PALETTE)
        names = ['LoadImageFromFile 10x16', 'LoadAnnotations 10x16', 'RandomCrop 8x8', 'RandomFlip 8x8']
        assert [caption for caption, _ in row] == names
        assert (row[0][1] == 40).all() and (row[1][1][5, 5] == [20, 148, 20]).all() and (row[1][1][0, 0] == 40).all()
        assert np.array_equal(np.unique(labels_of(wrapped, index)), [1, 255])


def test_pixels_of_classes_are_counted_without_ignored_ones(dataset):
    pixels, images = class_pixels(dataset, range(3), processes=2)
    assert pixels.tolist() == [2 * 159, 159] and images.tolist() == [2, 1]
    dataset.pipeline.transforms = dataset.pipeline.transforms[:1]
    with pytest.raises(ValueError, match='sample 0: .*loads no annotations'):
        class_pixels(dataset, range(3))


def test_plots_name_all_classes(tmp_path):
    names = ['road', 'car', 'never']
    palette = np.zeros((3, 3), np.uint8)
    figures = dict(
        frequency=frequency_plot(np.array([10, 1000, 0]), np.array([1, 5, 0]), 5, names, palette),
        legend=legend_plot(names, palette),
        confusion=confusion_plot(np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]]), names, 'column'),
    )
    for name, figure in figures.items():
        figure.savefig(tmp_path / f'{name}.svg')
        assert (tmp_path / f'{name}.svg').stat().st_size > 1000
    assert [label.get_text() for label in figures['frequency'].axes[0].get_yticklabels()] == ['car', 'road', 'never']
    assert {text.get_text() for text in figures['confusion'].axes[0].texts} == {'89', '18', '11', '82'}
    assert [text.get_text() for text in figures['legend'].axes[0].texts] == ['0 road', '1 car', '2 never']
