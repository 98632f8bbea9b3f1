"""What a result gives to other libraries."""

import importlib.util

import numpy as np
import pytest

from mmseg.inference.result import Classes, Result


def result(labels):
    classes = Classes(('road', 'sky', 'car'), np.zeros((3, 3), np.uint8), 255)
    return Result('a', np.array(labels, np.uint8), classes, np.zeros((*np.shape(labels), 3), np.uint8))


def test_masks_for_supervision():
    supervision = pytest.importorskip('supervision')
    detections = result([[2, 2, 0, 255], [2, 0, 0, 255]]).to_supervision()
    assert isinstance(detections, supervision.Detections) and detections.class_id.tolist() == [0, 2]
    assert detections['class_name'].tolist() == ['road', 'car']
    assert detections.mask.tolist() == [
        [[False, False, True, False], [False, True, True, False]],
        [[True, True, False, False], [True, False, False, False]],
    ]
    assert detections.xyxy.tolist() == [[1, 0, 2, 1], [0, 0, 1, 1]]
    assert len(result([[255, 255]]).to_supervision()) == 0


def test_supervision_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='pip install supervision'):
        result([[0]]).to_supervision()
