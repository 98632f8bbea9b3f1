"""AOTInductor: the network compiled ahead of time for this kind of processor, for servers, in C++ as well."""

import tempfile
from pathlib import Path

from torch.export import ExportedProgram

from mmseg.utils.atomic_file import atomic_write

from .metadata import KEY, Metadata


def write_aotinductor(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Compile a program of a fixed height and width, and write it with the metadata; the batch may be any.

    Of sides that are symbols, the pooled grids' are numbers that only an image tells: Inductor makes no code of those.
    """
    import torch._inductor  # takes a second, which other targets need not wait

    with tempfile.TemporaryDirectory() as folder:
        package = torch._inductor.aoti_compile_and_package(
            program,
            package_path=f'{folder}/network.pt2',
            inductor_configs={'aot_inductor.metadata': {KEY: metadata.to_json()}},
        )
        with atomic_write(str(path)) as file:
            file.write(Path(package).read_bytes())
