"""PyTorch's own exported program: ``torch.export.load`` runs it without this package."""

import io
from pathlib import Path

import torch
from torch.export import ExportedProgram

from mmseg.utils.atomic_file import atomic_write

from .metadata import KEY, Metadata


def write_torch(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write program and weights, and the metadata as an extra file of the archive."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={KEY: metadata.to_json()})
    with atomic_write(str(path)) as file:
        file.write(content.getbuffer())
