"""The whole way in a graph, what files hold and what is refused: with a network that is traced in a second."""

import json
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmseg.datasets.scene_painter import draw_scene
from mmseg.export import Export, Metadata, parity
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.runtimes.targets import open_file
from mmseg.utils import register_all_modules

for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino'):
    pytest.importorskip(package, reason=f'{package} is part of the extra "export"')

register_all_modules(init_default_scope=False)


@MODELS.register_module(force=True)
class TwoConvolutions(nn.Module):
    """Stride 4."""

    out_channels = [8]

    def __init__(self, gate: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU())
        self.gate = Gate() if gate else nn.Identity()

    def forward(self, x):
        return (self.gate(self.stem(x)),)


class Gate(nn.Module):
    """Does what no graph can: it looks at numbers before it decides."""

    def forward(self, x):
        return x if x.mean() > 0 else -x


TO_64 = [dict(type='AlignResize', scale=(128, 64), size_divisor=32)]
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def network(resizes=(), classes=3, gate=False, **options):
    torch.manual_seed(1)
    head = dict(type='FCNHead', channels=8, num_convs=1, num_classes=classes, in_index=0)
    if classes == 1:
        head |= dict(num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    preprocessor = dict(type='SegDataPreProcessor', mean=MEAN, std=STD, **{'bgr_to_rgb': True, **options})
    model = EncoderDecoder(
        backbone=dict(type='TwoConvolutions', gate=gate), decode_head=head, data_preprocessor=preprocessor
    )
    nn.init.normal_(model.decode_head.conv_seg.weight)
    steps = [dict(type='LoadImageFromFile'), *resizes, dict(type='PackSegInputs')]
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(type='BaseSegDataset', pipeline=steps))))
    model.dataset_meta = dict(classes=('a', 'b', 'c')[:classes], palette=[[0, 0, 0]] * classes)
    return model.eval()


PICTURES = [draw_scene(np.random.default_rng(i), (96, 128))[0] for i in range(2)]
CELLS = [(1, 64, 64), (3, 65, 91), (2, 91, 65)]


def differences(work, path, target, cells=CELLS):
    return parity.compare(work, open_file(path, target)[1], cells, PICTURES)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(resizes=TO_64),
        dict(resizes=TO_64, classes=1),
        dict(bgr_to_rgb=False, test_cfg=dict(size_divisor=32)),
        dict(resizes=[dict(type='Resize', scale=(90, 70))], test_cfg=dict(size_divisor=32)),
    ],
    ids=['own size', 'resized', 'one score', 'padded, BGR', 'resized and padded'],
)
def test_whole_way_gives_the_labels_of_a_prediction(options, tmp_path):
    work = Export(network(**options), 'top1')
    metadata = work.write(tmp_path / 'a.onnx', 'onnx')
    assert (metadata.input, metadata.channel_order, metadata.output) == ('image', 'RGB', 'top1')
    for comparison in differences(work, tmp_path / 'a.onnx', 'onnx'):
        assert comparison.passed and comparison.equal >= 0.996, comparison


def test_whole_way_of_lrformer_at_a_size_that_the_graph_computes(tmp_path):
    """Its sizes are then numbers that a trace does not know, on which nothing may branch."""
    model = network(TO_64)
    sizes = dict(embed_dims=(8, 8, 8, 8), depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), mlp_ratios=(1, 1, 1, 1))
    model.backbone = MODELS.build(dict(type='LRFormer', **sizes)).eval()
    parity.draw_weights(model)
    work = Export(model, 'labels')
    work.write(tmp_path / 'a.pt2', 'torch')
    for comparison in differences(work, tmp_path / 'a.pt2', 'torch'):
        assert comparison.passed and comparison.equal >= 0.99, comparison


def test_labels_alone_and_openvino(tmp_path):
    work = Export(network(TO_64), 'labels')
    work.write(tmp_path / 'a.xml', 'openvino')
    for comparison in differences(work, tmp_path / 'a.xml', 'openvino'):
        assert comparison.passed and comparison.equal >= 0.996 and comparison.error is None, comparison


def test_fixed_size_is_that_size_alone(tmp_path):
    work = Export(network(), batch=2, size=(64, 96))
    metadata = work.write(tmp_path / 'a.onnx', 'onnx')
    assert (metadata.batch, metadata.height, metadata.width) == (2, 64, 96)
    assert all(c.passed for c in differences(work, tmp_path / 'a.onnx', 'onnx', [(2, 64, 96)]))
    with pytest.raises(Exception, match='64'):
        differences(work, tmp_path / 'a.onnx', 'onnx', [(2, 96, 64)])


@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
def test_half_weights_are_the_rounded_models(precision, tmp_path, monkeypatch):
    monkeypatch.setattr('mmseg.export.onnx_file.LARGE', 16)
    model = network()
    work = Export(model, precision=precision)
    assert work.write(tmp_path / 'a.onnx', 'onnx').precision == precision
    assert all(c.passed for c in differences(work, tmp_path / 'a.onnx', 'onnx'))
    exact = Export(model)
    exact.write(tmp_path / 'exact.onnx', 'onnx')
    assert not all(c.passed for c in differences(exact, tmp_path / 'a.onnx', 'onnx'))  # the weights are others
    assert (tmp_path / 'a.onnx').stat().st_size < 0.9 * (tmp_path / 'exact.onnx').stat().st_size


def test_report_tells_a_wrong_file(tmp_path):
    work, other = Export(network()), network()
    metadata = work.write(tmp_path / 'a.onnx', 'onnx')
    with torch.no_grad():
        other.decode_head.conv_seg.bias += 1
    comparisons = differences(Export(other), tmp_path / 'a.onnx', 'onnx')
    assert not any(comparison.passed for comparison in comparisons)
    parity.write_report(tmp_path / 'a.json', comparisons, 'onnxruntime', metadata)
    report = json.loads((tmp_path / 'a.json').read_text())
    assert not report['passed'] and len(report['comparisons']) == len(CELLS)
    assert report['metadata']['weights_sha256'] == metadata.weights_sha256


@pytest.mark.parametrize('distance, undecided', [(0.0, True), (1e-3, False)])
def test_only_what_rounding_decides_may_differ_by_more(distance, undecided):
    """As a query of Mask2Former attends to a cell or not: scores grow, where a number is above a limit."""
    model, means = network(), []
    plain = model._scores

    def scores(images):
        scores = plain(images.float())
        means.append(images.double().mean())
        return scores + 0.01 * scores.abs().max() * (means[-1] >= means[0] - distance)

    model._scores = scores
    run = lambda images: [plain(torch.from_numpy(images)).numpy()]  # noqa: E731 (a file that decides otherwise)
    (comparison,) = parity.compare(Export(model), run, [(2, 64, 64)], PICTURES)
    assert 5e-3 < comparison.error < 0.02 and comparison.equal == 1
    assert comparison.passed is undecided
    assert (comparison.tolerance > 0.01) is undecided


def test_a_file_that_is_right_where_float32_is_not_passes():
    """A number that float32 rounds to 0 and float64 does not decides."""
    model = network()
    plain = model._scores

    def scores(images):
        scores = plain(images.float())
        rounded = images.new_ones(()) + 1e-9 > 1
        return scores if rounded else scores + 0.01 * scores.abs().max()

    model._scores = scores
    run = lambda images: [plain(torch.from_numpy(images)).numpy()]  # noqa: E731
    (comparison,) = parity.compare(Export(model), run, [(1, 64, 64)], PICTURES)
    assert comparison.passed and comparison.error < 1e-6


def test_no_rule_tries_all_nodes_at_each(tmp_path, monkeypatch):
    import onnx
    from onnxscript.rewriter.rules import common

    monkeypatch.setattr(common.slice_split_rule, 'try_rewrite', lambda *args, **options: pytest.fail('it is tried'))
    Export(network()).write(tmp_path / 'a.onnx', 'onnx')
    nodes = [node.op_type for node in onnx.load(tmp_path / 'a.onnx').graph.node]
    assert nodes.count('Conv') == 4 and not {'Constant', 'Identity', 'BatchNormalization'} & set(nodes)


def test_frozen_axis_is_an_error(tmp_path, monkeypatch):
    model = network()
    plain = model.decode_head.forward
    monkeypatch.setattr(model.decode_head, 'forward', lambda maps: plain([maps[0].expand(len(maps[0]), -1, -1, -1)]))
    with pytest.raises(RuntimeError, match='batch'):
        Export(model).write(tmp_path / 'a.onnx', 'onnx')
    assert not list(tmp_path.iterdir())


def test_layer_that_cannot_be_traced_is_named(tmp_path):
    with pytest.raises(TypeError, match=r'model\.backbone\.gate: Gate cannot be exported'):
        Export(network(gate=True)).write(tmp_path / 'a.onnx', 'onnx')


def test_what_is_no_segmentor_is_refused():
    with pytest.raises(TypeError, match='Linear cannot be exported'):
        Export(nn.Linear(1, 1))


@pytest.mark.parametrize(
    'request_, target, name, message',
    [
        (dict(), 'tflite', 'a.tflite', 'it is none of onnx'),
        (dict(), 'onnx', 'a.pt2', r'is named \*\.onnx'),
        (dict(output='logits'), 'onnx', 'a.onnx', 'none of scores, labels, top1'),
        (dict(batch=0), 'onnx', 'a.onnx', 'batch=0'),
        (dict(size=(16, 64)), 'onnx', 'a.onnx', '32 pixels'),
        (dict(precision='int4'), 'onnx', 'a.onnx', "precision='int4'"),
        (dict(precision='bf16'), 'openvino', 'a.xml', 'bf16 for onnx'),
        (dict(), 'executorch', 'a.pte', 'one batch and height and width'),
    ],
)
def test_wrong_requests_say_what_is_right(request_, target, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Export(network(), **request_).write(tmp_path / name, target)


def test_missing_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ModuleNotFoundError, match=r'onnxscript is not installed: pip install "lrformer\[export\]"'):
        Export(network()).write(tmp_path / 'a.onnx', 'onnx')


def test_file_that_cannot_be_written_leaves_the_former_one(tmp_path, monkeypatch):
    path = tmp_path / 'a.onnx'
    path.write_bytes(b'former')
    monkeypatch.setattr('os.fsync', lambda descriptor: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    with pytest.raises(OSError, match='No space left'):
        Export(network()).write(path, 'onnx')
    assert path.read_bytes() == b'former' and [file.name for file in tmp_path.iterdir()] == ['a.onnx']


@pytest.mark.slow  # in one process with others this library or Core ML's has ended in a segmentation fault
def test_executorch(tmp_path):
    pytest.importorskip('executorch', reason='executorch is a package of its own')
    work = Export(network(), batch=1, size=(64, 96))
    work.write(tmp_path / 'a.pte', 'executorch')
    assert all(c.passed for c in differences(work, tmp_path / 'a.pte', 'executorch', [(1, 64, 96)]))


@pytest.mark.slow  # as above
def test_coreml_package_states_its_metadata(tmp_path):
    coremltools = pytest.importorskip('coremltools', reason='coremltools is a package of its own')
    metadata = Export(network(), batch=1, size=(64, 96)).write(tmp_path / 'a.mlpackage', 'coreml')
    model = coremltools.models.MLModel(str(tmp_path / 'a.mlpackage'), skip_model_load=True)
    assert Metadata.from_json(model.user_defined_metadata['lrformer'], 'a') == metadata
