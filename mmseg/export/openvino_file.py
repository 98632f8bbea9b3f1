"""OpenVINO's pair of files, made from ONNX."""

import os
import tempfile
from pathlib import Path

from .metadata import KEY, Metadata
from .packages import need


def write_openvino(onnx_model, metadata: Metadata, path: Path) -> None:
    """Write an ONNX model as ``path``, the graph, and beside it the weights, as ``.bin``.

    Raises:
        ModuleNotFoundError: openvino is missing; the message says how to get it.
    """
    openvino = need('openvino')
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.openvino-') as folder:
        source, written = Path(folder, 'network.onnx'), Path(folder, path.name)
        source.write_bytes(onnx_model.SerializeToString())
        model = openvino.convert_model(source)
        model.set_rt_info(metadata.to_json(), [KEY])
        openvino.save_model(model, written, compress_to_fp16=metadata.precision == 'fp16')
        for suffix in ('.bin', '.xml'):  # the graph last: it stands for both
            os.replace(written.with_suffix(suffix), path.with_suffix(suffix))
