"""ONNX, for onnxruntime and all that reads it."""

import contextlib
import io
from pathlib import Path

import torch
from torch.export import ExportedProgram

from mmseg.utils.atomic_file import atomic_write

from .metadata import KEY, Metadata
from .packages import need

OPSET = 18


def write_onnx(program: ExportedProgram, inputs, outputs, metadata: Metadata, path: Path, opset: int = OPSET) -> None:
    """Write a file that holds graph, weights and metadata.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to get it.
    """
    for package in ('onnx', 'onnxscript'):
        need(package)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress
        exported = torch.onnx.export(
            program, dynamo=True, opset_version=opset, input_names=list(inputs), output_names=list(outputs)
        )
    model = exported.model_proto
    model.producer_name, model.producer_version = 'lrformer', metadata.version
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, metadata.to_json()
    with atomic_write(str(path)) as file:
        file.write(model.SerializeToString())
