"""The file of any target at work: arrays in, arrays out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from mmseg.export.packages import need

from .sessions import open_session


def open_file(path: Path, target: str) -> tuple[str, Callable[[np.ndarray], Sequence[np.ndarray]]]:
    """The name of the runtime that belongs to a target, and the file as a function of one batch."""
    runtime, opener = RUNTIMES[target]
    return runtime, opener(path)


def _session(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    return open_session(path).run


def _torch(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    return _of_tensors(torch.export.load(path).module())


def _aotinductor(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    import torch._inductor

    return _of_tensors(torch._inductor.aoti_load_package(str(path)))


def _of_tensors(network: Callable) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    def run(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = network(torch.from_numpy(images))
        return [value.numpy() for value in (outputs if isinstance(outputs, (tuple, list)) else (outputs,))]

    return run


def _executorch(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    program = need('executorch.runtime', 'executorch').Runtime.get().load_program(path.read_bytes())
    method = program.load_method('forward')

    def run(images: np.ndarray) -> list[np.ndarray]:
        assert program is not None  # a method does not keep alive what it belongs to
        return [value.numpy() for value in method.execute([torch.from_numpy(images)])]

    return run


RUNTIMES = {
    'onnx': ('onnxruntime', _session),
    'tensorrt': ('onnxruntime', _session),
    'openvino': ('OpenVINO', _session),
    'torch': ('torch.export', _torch),
    'executorch': ('ExecuTorch', _executorch),
    'aotinductor': ('AOTInductor', _aotinductor),
}
