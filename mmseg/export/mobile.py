"""Phones: ExecuTorch with XNNPACK, and Core ML. Both take one fixed size."""

import os
import shutil
import tempfile
from pathlib import Path

from torch.export import ExportedProgram

from mmseg.utils.atomic_file import atomic_write

from .metadata import KEY, Metadata
from .packages import need


def write_executorch(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write a ``.pte`` whose network runs in XNNPACK as far as that goes; the metadata is its method ``lrformer``.

    Raises:
        ModuleNotFoundError: executorch is missing; the message says how to get it.
    """
    exir = need('executorch.exir', 'executorch')
    xnnpack = need('executorch.backends.xnnpack.partition.xnnpack_partitioner', 'executorch')
    lowered = exir.to_edge_transform_and_lower(
        program, partitioner=[xnnpack.XnnpackPartitioner()], constant_methods={KEY: metadata.to_json()}
    )
    with atomic_write(str(path)) as file:
        file.write(lowered.to_executorch().buffer)


def write_coreml(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write an ``.mlpackage``, a folder, with the metadata among what its author states.

    Raises:
        ModuleNotFoundError: coremltools is missing; the message says how to get it.
    """
    coremltools = need('coremltools', 'coreml')
    model = coremltools.convert(program.run_decompositions({}), convert_to='mlprogram')
    model.user_defined_metadata[KEY] = metadata.to_json()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.coreml-') as folder:
        written, former = Path(folder, path.name), Path(folder, 'former')
        model.save(str(written))
        if path.exists():
            shutil.move(path, former)
        os.replace(written, path)
