"""Int8 for OpenVINO, by NNCF: with a check of the labels, for which it leaves layers in float32 where it must."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .int8 import EQUAL, MEASURED, Quantised, coarse_labels
from .metadata import KEY, Metadata
from .packages import need


def quantise_openvino(
    source: str | Path, path: str | Path, images: Sequence[np.ndarray], equal: float = EQUAL
) -> Quantised:
    """Write an int8 twin of an exported OpenVINO file (or ONNX file), as :func:`.int8.quantise` does.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to get it.
        ValueError: there are no images.
    """
    if not len(images):
        raise ValueError('int8 needs calibration images, and there are none')
    openvino, nncf = need('openvino'), need('nncf', 'int8')
    path, model = Path(path), openvino.Core().read_model(source)
    metadata = Metadata.from_json(model.get_rt_info([KEY]).astype(str), str(source))
    exact = openvino.Core().compile_model(model, 'CPU', dict(INFERENCE_PRECISION_HINT='f32'))
    few = images[:: max(1, len(images) // MEASURED)][:MEASURED]
    pairs = [(image, coarse_labels(list(exact(image).values()))) for image in few]

    def share(compiled, items: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[float, list[float]]:
        shares = [float((coarse_labels(list(compiled(x).values())) == labels).mean()) for x, labels in items]
        return float(np.mean(shares)), shares

    quantised = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(list(images)),
        nncf.Dataset(pairs, lambda pair: pair[0]),
        share,
        max_drop=1 - equal,
        drop_type=nncf.DropType.ABSOLUTE,
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(images),
    )
    compiled = openvino.Core().compile_model(quantised, 'CPU', dict(INFERENCE_PRECISION_HINT='f32'))
    quantised.set_rt_info(replace(metadata, precision='int8').to_json(), [KEY])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.int8-') as folder:
        openvino.save_model(quantised, Path(folder, path.name), compress_to_fp16=False)
        for suffix in ('.bin', '.xml'):  # the graph last: it stands for both
            os.replace(Path(folder, path.name).with_suffix(suffix), path.with_suffix(suffix))
    layers = [op.get_friendly_name() for op in model.get_ops() if op.get_type_name() in ('Convolution', 'MatMul')]
    in_bytes = {op.get_friendly_name() for op in quantised.get_ops() if _reads_bytes(op)}
    kept = [name for name in layers if name not in in_bytes]
    return Quantised(len(layers), kept, share(compiled, pairs)[0], len(images))


def _reads_bytes(op) -> bool:
    return any(value.get_node().get_type_name() == 'FakeQuantize' for value in op.input_values())
