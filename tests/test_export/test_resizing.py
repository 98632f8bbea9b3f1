"""Sizes as a graph computes them are those of the test pipeline's own transforms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Resize

from mmseg.datasets.transforms import AlignResize, ResizeToMultiple
from mmseg.export.resizing import resizes_of

STEPS = [
    (AlignResize, dict(scale=(2048, 512), size_divisor=32)),
    (AlignResize, dict(scale_factor=0.75)),
    (Resize, dict(scale=(480, 360))),
    (Resize, dict(scale=(320, 640), keep_ratio=True)),
    (Resize, dict(scale_factor=(1.5, 0.5))),
    (ResizeToMultiple, dict(size_divisor=(32, 64))),
]


class Symbol(int):
    """Not an int to ``isinstance(side, int)``, as a graph's symbols are not."""

    __class__ = object


@pytest.mark.parametrize('transform, options', STEPS)
@settings(max_examples=25, deadline=None)
@given(height=st.integers(32, 700), width=st.integers(32, 700))
def test_as_the_transform_has_it(transform, options, height, width):
    image = np.zeros((height, width, 1), np.uint8)
    expected = transform(**options).transform(dict(img=image))['img'].shape[:2]
    for sides in ((height, width), (Symbol(height), Symbol(width))):  # in Python, and as tensors
        for resize in resizes_of([dict(type=transform.__name__, **options)]):
            sides = resize(*sides, torch.device('cpu'))
        assert tuple(sides) == expected


def test_refuses_what_no_graph_does_by_name():
    steps = [dict(type='LoadImageFromFile'), dict(type='mmseg.CLAHE'), dict(type='PackSegInputs')]
    with pytest.raises(ValueError, match='test pipeline has CLAHE'):
        resizes_of(steps)
