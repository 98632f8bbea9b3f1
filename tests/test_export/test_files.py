"""Exported files compute what their models do: of any size and batch, at odd sizes and on their sides.

Tracing is what takes time, so a small network of each head is traced once, and all its files come from that.
"""

from pathlib import Path

import pytest
import torch

from mmseg.apis import init_model
from mmseg.export import Export, Metadata, parity
from mmseg.runtimes.targets import open_file

for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino'):
    pytest.importorskip(package, reason=f'{package} is part of the extra "export"')

SCENES = 'configs_local/lrformer/lrformer-n{}_scenes-128x128.py'
SMALL = {
    '': {'model.backbone.depths': (1, 0, 0, 0)},
    '-plus': {
        'model.backbone.depths': (0, 0, 0, 1),
        'model.decode_head.num_encoder_layers': 1,
        'model.decode_head.num_decoder_layers': 2,
    },
}
CELLS = [(1, 64, 64), (3, 65, 91), (1, 91, 65), (2, 33, 140)]
ROOT = Path(__file__).parents[2]


def small_model(head: str):
    torch.manual_seed(0)
    model = init_model(ROOT / SCENES.format(head), device='cpu', cfg_options=SMALL[head])
    parity.draw_weights(model)
    return model


@pytest.fixture(scope='module', params=['', '-plus'], ids=['LRHead', 'Mask2FormerHead'])
def work(request):
    return Export(small_model(request.param))


# What goes into a .pt2 is what ONNX and OpenVINO are made of.
FILES = [pytest.param('torch', '.pt2', marks=pytest.mark.slow), ('onnx', '.onnx'), ('openvino', '.xml')]


@pytest.mark.parametrize('target, suffix', FILES)
def test_file_equals_the_model_at_any_size(work, target, suffix, tmp_path):
    path = tmp_path / f'network{suffix}'
    metadata = work.write(path, target)
    _, run = open_file(path, target)
    for comparison in parity.compare(work, run, CELLS, parity.drawn_pictures(2)):
        assert comparison.error < 1e-5 and comparison.equal > 0.999, comparison
    assert (metadata.batch, metadata.height, metadata.width) == (None, None, None)
    assert {file.name for file in tmp_path.iterdir()} <= {path.name, 'network.bin'}


def test_onnx_file_says_what_it_is(work, tmp_path):
    import onnx

    metadata = work.write(tmp_path / 'a.onnx', 'onnx')
    model = onnx.load(tmp_path / 'a.onnx')
    onnx.checker.check_model(model)
    (entry,) = (prop.value for prop in model.metadata_props if prop.key == 'lrformer')
    assert Metadata.from_json(entry, 'a.onnx') == metadata
    (image,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ['batch', 3, 'height', 'width']
    assert metadata.classes[0] == 'sky' and len(metadata.palette) == metadata.num_classes == 8
    used = {node.op_type for node in model.graph.node}
    assert not used & {'GridSample', 'Loop', 'If', 'NonZero'} and {node.domain for node in model.graph.node} == {''}
