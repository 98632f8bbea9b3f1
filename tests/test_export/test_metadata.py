"""What an exported file says about itself."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from mmseg.export.metadata import FORMAT, Metadata, weights_sha256

METADATA = Metadata(
    input='normalised',
    output='scores',
    channel_order='RGB',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    num_classes=2,
    classes=['a', 'b'],
    palette=[[0, 0, 0], [255, 0, 0]],
    threshold=None,
    align_corners=False,
    size_divisor=1,
    batch=None,
    height=None,
    width=None,
    min_side=32,
    precision='fp32',
    weights_sha256='0' * 64,
    pipeline=None,
    test_cfg={'mode': 'whole'},
    model='lrformer-n',
    target='onnx',
)


def test_reads_what_it_wrote():
    assert Metadata.from_json(METADATA.to_json(), 'a.onnx') == METADATA


def changed(**entries):
    return json.dumps({**dataclasses.asdict(METADATA), **entries})


@pytest.mark.parametrize(
    'text, message',
    [
        (None, 'not written by `lrformer export`'),
        ('{"format": 1', 'is damaged'),
        ('[1]', 'is damaged'),
        (changed(format=FORMAT + 1, version='99.0'), 'exported by lrformer 99.0 in format 2.*update lrformer'),
        (changed(format=0), 'export the model again'),
        (json.dumps({'format': FORMAT, 'version': '0'}), "lacks 'input'"),
    ],
)
def test_says_why_a_file_is_none_of_ours(text, message):
    with pytest.raises(ValueError, match=rf'(?s)street\.onnx: .*{message}'):
        Metadata.from_json(text, 'street.onnx')


def test_entries_that_a_later_version_adds_without_need_are_left_out():
    assert Metadata.from_json(changed(author='someone'), 'a.onnx') == METADATA


def test_hash_is_of_values_names_and_shapes():
    layer = nn.Linear(2, 3)
    before = weights_sha256(layer)
    assert weights_sha256(nn.Sequential(layer)) != before
    with torch.no_grad():
        layer.weight[0, 0] += 1e-6
    assert weights_sha256(layer) != before
