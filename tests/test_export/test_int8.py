import numpy as np
import pytest
from mmengine.config import Config

pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('onnxruntime', reason='the extra "export" is not installed')

import onnx
from onnx import TensorProto, helper, numpy_helper

from mmseg.apis import init_model
from mmseg.engine.launch import load_config
from mmseg.export import KEY
from mmseg.export.int8 import calibration_images, int8_to_openvino, quantise
from mmseg.runtimes.sessions import open_session

from ..test_runtimes import tiny

HIDDEN = 16


def write(path, outlier=1.0) -> str:
    """An MLP on the map of a convolution, residual, then scores. One channel of its second layer's input, which no
    weight reads, is ``outlier`` times as large as the others."""
    metadata = onnx.load(tiny.write(path, tiny.model())).metadata_props[0].value
    rng = np.random.default_rng(0)
    weights = dict(
        stem=rng.normal(size=(HIDDEN, 3, 8, 8)) / 14,
        fc1=rng.normal(size=(HIDDEN, HIDDEN)) / 4,
        fc2=rng.normal(size=(HIDDEN, HIDDEN)) / 4,
        classes=rng.normal(size=(3, HIDDEN, 1, 1)),
    )
    weights['fc1'][:, 0] *= outlier
    weights['fc2'][0] = 0
    nodes = [
        helper.make_node('Conv', ['image', 'stem'], ['map'], 'stem', strides=[8, 8], kernel_shape=[8, 8]),
        helper.make_node('Transpose', ['map'], ['tokens'], 'tokens', perm=[0, 2, 3, 1]),
        helper.make_node('MatMul', ['tokens', 'fc1'], ['hidden'], 'fc1'),
        helper.make_node('Relu', ['hidden'], ['active'], 'relu'),
        helper.make_node('MatMul', ['active', 'fc2'], ['mixed'], 'fc2'),
        helper.make_node('Add', ['tokens', 'mixed'], ['sum'], 'residual'),
        helper.make_node('Transpose', ['sum'], ['out'], 'back', perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['out', 'classes'], ['scores'], 'classes', kernel_shape=[1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        'mlp',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, ['b', 3, 'h', 'w'])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['b', 3, None, None])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    helper.set_model_props(file, {KEY: metadata})
    onnx.save(file, path)
    return str(path)


def images(count=6):
    return list(np.random.default_rng(1).normal(size=(count, 1, 3, 96, 128)).astype(np.float32))


def bytes_in(path):
    return sum(
        weight.data_type == TensorProto.INT8 and len(weight.dims) > 1 for weight in onnx.load(path).graph.initializer
    )


@pytest.mark.parametrize('backend', ('onnxruntime', 'openvino'))
def test_layers_become_bytes_and_labels_stay(tmp_path, backend):
    pytest.importorskip(backend, reason='the extra "export" is not installed')
    result = quantise(write(tmp_path / 'f.onnx'), tmp_path / 'q.onnx', images(), equal=0.95)
    assert (result.layers, result.kept, result.images) == (3, [], 6) and result.equal >= 0.95
    assert bytes_in(tmp_path / 'q.onnx') == 3
    exact, quantised = (open_session(tmp_path / name, backend) for name in ('f.onnx', 'q.onnx'))
    assert quantised.metadata.precision == 'int8' and quantised.metadata.classes == exact.metadata.classes
    x = np.random.default_rng(2).normal(size=(2, 3, 64, 80)).astype(np.float32)  # another batch and size
    (a,), (b,) = exact.run(x), quantised.run(x)
    assert a.shape == b.shape and 0 < np.abs(a - b).max() < 0.1 * np.abs(a).max()
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.93


def test_a_layer_that_cannot_bear_it_stays_in_float32(tmp_path):
    source = write(tmp_path / 'f.onnx', outlier=1e4)
    result = quantise(source, tmp_path / 'q.onnx', images(), equal=0.95)
    spoilt = quantise(source, tmp_path / 'all.onnx', images(), equal=0)
    assert spoilt.kept == [] and spoilt.equal < 0.9
    assert result.kept == ['fc2'] and result.equal >= 0.95
    assert bytes_in(tmp_path / 'q.onnx') == 2 and bytes_in(tmp_path / 'all.onnx') == 3


def test_without_images_there_is_no_int8(tmp_path):
    with pytest.raises(ValueError, match='int8 needs calibration images'):
        quantise(write(tmp_path / 'f.onnx'), tmp_path / 'q.onnx', [])
    cfg = load_config('lrformer-n_scenes-128x128')
    model = init_model(cfg, device='cpu')
    with pytest.raises(ValueError, match='0 calibration images: it must be 1 or more'):
        calibration_images(model, cfg, 0)
    (tmp_path / 'empty').mkdir()
    empty = Config(cfg._cfg_dict.to_dict())
    empty.train_dataloader.dataset = dict(
        type='BaseSegDataset', data_prefix=dict(img_path=str(tmp_path / 'empty')), metainfo=dict(classes=('a', 'b'))
    )
    with pytest.raises((ValueError, FileNotFoundError), match='has no image|empty'):
        calibration_images(model, empty, 4)
    drawn = calibration_images(model, cfg, 3)
    assert [x.shape for x in drawn] == [(1, 3, 128, 128)] * 3 and not np.array_equal(drawn[0], drawn[1])


def test_openvino_gets_the_same_bytes(tmp_path):
    pytest.importorskip('openvino', reason='the extra "export" is not installed')
    quantise(write(tmp_path / 'f.onnx'), tmp_path / 'q.onnx', images(), equal=0.95)
    int8_to_openvino(tmp_path / 'q.onnx', tmp_path / 'q.xml')
    assert (tmp_path / 'q.bin').stat().st_size < 0.5 * (tmp_path / 'f.onnx').stat().st_size
    exact, quantised = open_session(tmp_path / 'f.onnx', 'openvino'), open_session(tmp_path / 'q.xml')
    assert (quantised.metadata.precision, quantised.metadata.target) == ('int8', 'openvino')
    (a,), (b,) = exact.run(images(1)[0]), quantised.run(images(1)[0])
    assert 0 < np.abs(a - b).max() < 0.1 * np.abs(a).max()
