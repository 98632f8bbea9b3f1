"""An exported file at work: arrays in, arrays out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from .packages import need


def open_file(path: Path, target: str) -> tuple[str, Callable[[np.ndarray], Sequence[np.ndarray]]]:
    """The name of the runtime that belongs to a target, and the file as a function of one batch."""
    runtime, opener = RUNTIMES[target]
    return runtime, opener(path)


def _onnxruntime(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    ort = need('onnxruntime')
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # they keep what the largest image took
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')  # PyTorch has its own threads
    session = ort.InferenceSession(path.read_bytes(), options, providers=['CPUExecutionProvider'])
    (name,) = (given.name for given in session.get_inputs())
    return lambda images: session.run(None, {name: images})


def _openvino(path: Path) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    openvino = need('openvino')
    settings = dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=torch.get_num_threads())
    compiled = openvino.Core().compile_model(path, 'CPU', settings)
    return lambda images: list(compiled(images).values())


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
    'onnx': ('onnxruntime', _onnxruntime),
    'tensorrt': ('onnxruntime', _onnxruntime),
    'openvino': ('OpenVINO', _openvino),
    'torch': ('torch.export', _torch),
    'executorch': ('ExecuTorch', _executorch),
    'aotinductor': ('AOTInductor', _aotinductor),
}
