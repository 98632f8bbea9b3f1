"""Int8 for onnxruntime and OpenVINO: weights and inputs of layers become bytes, where labels bear it.

Static quantisation of an ONNX file: calibration images say which range of numbers each layer's input has. Convolutions
and products with weights are quantised, a scale for each output channel; attention's products of two maps are not.
"""

import copy
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmseg.datasets import BaseSegDataset
from mmseg.engine.config.data_root import hand_down_data_root
from mmseg.engine.config.tta import innermost_datasets
from mmseg.registry import DATASETS
from mmseg.utils.atomic_file import atomic_write
from mmseg.utils.progress import track

from .metadata import KEY, Metadata
from .openvino_file import write_openvino
from .packages import need

LAYERS = ('Conv', 'MatMul', 'Gemm')
EQUAL = 0.99  # share of labels that shall stay
MEASURED = 4  # images that layers are measured on
EXACT = '.float32'  # ends the names of weights that layers in float32 have for themselves


@dataclass(frozen=True)
class Quantised:
    """What became of a file.

    Attributes:
        layers: how many could be quantised.
        kept: names of those that stayed in float32, the most sensitive first.
        equal: share of labels on calibration images that are those of the float32 file, at the network's resolution.
        images: how many images calibrated it.
    """

    layers: int
    kept: list[str]
    equal: float
    images: int


def quantise(source: str | Path, path: str | Path, images: Sequence[np.ndarray], equal: float = EQUAL) -> Quantised:
    """Write an int8 twin of an exported ONNX file.

    Layers are quantised all together. Where that changes too many labels, each layer's share in it is measured, alone
    in int8, and the worst stay in float32: 1, 2, 4, ... of them, until enough labels are equal, at most a quarter.

    Args:
        source: a file of ``lrformer export --to onnx`` that takes normalised images.
        path: the file to write.
        images: for calibration, each 1 x channels x H x W as the network takes it.
        equal: share of labels that shall stay.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to get it.
        ValueError: there are no images.
    """
    if not len(images):
        raise ValueError('int8 needs calibration images, and there are none')
    onnx = need('onnx')
    with tempfile.TemporaryDirectory() as folder:
        exact, whole = _quantise_all(Path(source), Path(folder), images)
    names = _layers(exact)
    few = images[:: max(1, len(images) // MEASURED)][:MEASURED]
    expected = _outputs(exact, few)
    kept, ranking = 0, []
    while True:
        model = _with_exact(whole, exact, set(ranking[:kept]))
        share = _equal_labels(_outputs(model, few), expected)
        if share >= equal or 2 * kept > len(names) // 4:
            break
        ranking = ranking or _most_sensitive_first(whole, exact, names, few, expected)
        kept = max(1, 2 * kept)
    entry = {item.key: item.value for item in onnx.load(source, load_external_data=False).metadata_props}[KEY]
    metadata = replace(Metadata.from_json(entry, str(source)), precision='int8')
    onnx.helper.set_model_props(model, {KEY: metadata.to_json()})
    with atomic_write(str(path)) as file:
        file.write(model.SerializeToString())
    return Quantised(len(names), ranking[:kept], share, len(images))


def int8_to_openvino(source: Path, path: Path) -> None:
    """An int8 ONNX file as OpenVINO's pair of files, which compute in bytes what it has in bytes."""
    model = need('onnx').load(source)
    metadata = Metadata.from_json({item.key: item.value for item in model.metadata_props}.get(KEY), str(source))
    write_openvino(model, replace(metadata, target='openvino'), path)


def calibration_images(model: nn.Module, cfg: Config, count: int) -> list[np.ndarray]:
    """Images of a config's training set, spread over it, as the network sees those of the test set.

    Args:
        model: whose ``data_preprocessor`` they go through.
        cfg: a whole config.
        count: how many; fewer where there are fewer.

    Raises:
        ValueError: there are none.
        FileNotFoundError: the data set is not there.
    """
    if count < 1:
        raise ValueError(f'{count} calibration images: it must be 1 or more')
    pipeline = next(innermost_datasets(cfg.test_dataloader.dataset))['pipeline']
    stated = copy.deepcopy(next(innermost_datasets(cfg.train_dataloader.dataset)))
    stated = hand_down_data_root(dict(stated, pipeline=pipeline, test_mode=True), cfg.get('data_root'))
    dataset: BaseSegDataset = DATASETS.build(stated)
    if not len(dataset):
        raise ValueError(
            f'train_dataloader.dataset ({type(dataset).__name__}) has no image, which int8 is calibrated on'
        )
    indices = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    samples = (dataset[int(i)] for i in indices)
    with torch.no_grad():
        prepared = [model.data_preprocessor(dict(inputs=[sample['inputs']])) for sample in samples]
    return [batch['inputs'].numpy() for batch in prepared]


def write_report(path: Path, result: Quantised, float32: dict, int8: dict) -> None:
    """What became of a file, and its metrics before and after, as JSON."""
    with atomic_write(str(path)) as file:
        file.write(json.dumps(dict(asdict(result), float32=float32, int8=int8), indent=2).encode())


class _Reader:
    """Images as onnxruntime's calibration asks for them."""

    def __init__(self, name: str, images: Sequence[np.ndarray]) -> None:
        self.feeds = iter([{name: image} for image in images])

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


def _quantise_all(source: Path, folder: Path, images: Sequence[np.ndarray]):
    """The file made ready for quantisation, and the same with every layer quantised."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    ready, quantised = folder / 'ready.onnx', folder / 'int8.onnx'
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    exact = onnx.load(ready)
    for i, node in enumerate(exact.graph.node):
        node.name = node.name or f'{node.op_type}_{i}'
    onnx.save(exact, ready)
    quantize_static(
        str(ready),
        str(quantised),
        _Reader(exact.graph.input[0].name, images),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=_layers(exact),
        extra_options=dict(OpTypesToExcludeOutputQuantization=['MatMul', 'Gemm']),
    )
    return exact, onnx.load(quantised)


def _constants(model) -> set[str]:
    return {weight.name for weight in model.graph.initializer}


def _layers(exact) -> list[str]:
    """The names of what can be quantised: products with weights, but for those whose results are outputs."""
    constants, outputs = _constants(exact), {output.name for output in exact.graph.output}
    return [
        node.name
        for node in exact.graph.node
        if node.op_type in LAYERS and node.input[1] in constants and node.output[0] not in outputs
    ]


def _with_exact(whole, exact, kept: set[str]):
    """A quantised model with the layers ``kept`` in float32.

    Operators that are no layers read bytes only from convolutions, which give nothing else when they are quantised.
    """
    model = copy.deepcopy(whole)
    layers, constants = set(_layers(exact)), _constants(exact)
    inputs = {node.name: node.input for node in exact.graph.node}
    makers = {name: node for node in exact.graph.node for name in node.output}
    for node in model.graph.node:
        if node.name not in inputs or node.name in layers - kept:
            continue
        for i, name in enumerate(inputs[node.name]):
            maker = makers.get(name)
            of_bytes = maker is not None and maker.op_type == 'Conv' and maker.name in layers - kept
            if name in constants:
                if node.name in kept:
                    node.input[i] = f'{name}{EXACT}'  # the name itself may now be that of rounded numbers
            elif node.name in kept or not of_bytes:
                node.input[i] = name
    _remove_unused(model, exact)
    return model


def _remove_unused(model, exact) -> None:
    """Remove what no output depends on, and bring back the weights of ``exact`` that are read."""
    needed, nodes = {output.name for output in model.graph.output}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(node.input)
    weights = [copy.deepcopy(w) for w in model.graph.initializer if w.name in needed]
    for weight in exact.graph.initializer:
        if f'{weight.name}{EXACT}' in needed:
            weights.append(copy.deepcopy(weight))
            weights[-1].name += EXACT
    for field, values in (
        (model.graph.node, [copy.deepcopy(node) for node in nodes]),
        (model.graph.initializer, weights),
    ):
        del field[:]
        field.extend(values)


def _most_sensitive_first(whole, exact, names: Sequence[str], images, expected) -> list[str]:
    """Layers by the share of labels that each changes when it alone is quantised."""

    def changes(name: str) -> float:
        outputs = _outputs(_with_exact(whole, exact, set(names) - {name}), images)
        return 1 - _equal_labels(outputs, expected)

    losses = {name: changes(name) for name in track(names, len(names), 'int8', 'layers')}
    return sorted(names, key=losses.get, reverse=True)


def _outputs(model, images: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    onnxruntime = need('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    # As it is: bytes computed in float32, and no time for fusions that would serve a few images.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    return [session.run(None, {session.get_inputs()[0].name: image}) for image in images]


def _equal_labels(outputs: Sequence[Sequence[np.ndarray]], expected: Sequence[Sequence[np.ndarray]]) -> float:
    pairs = zip(outputs, expected, strict=True)
    return float(np.mean([(coarse_labels(a) == coarse_labels(b)).mean() for a, b in pairs]))


def coarse_labels(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Labels at the network's own resolution, h x w."""
    scores = torch.from_numpy(outputs[0][0])
    if len(outputs) == 2:  # of queries: class logits Q x (classes + 1), and mask logits
        scores = torch.einsum('qc,qhw->chw', scores.softmax(-1)[:, :-1], torch.from_numpy(outputs[1][0]).sigmoid())
    return (scores.argmax(0) if len(scores) > 1 else scores[0] > 0).numpy()
