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
    options.enable_mem_pattern = False  # it keeps a plan for each size of image
    options.add_session_config_entry('session.force_spinning_stop', '1')  # PyTorch has its own threads
    each_run = ort.RunOptions()  # memory is kept for the next map, not for the next image
    each_run.add_run_config_entry('memory.enable_memory_arena_shrinkage', 'cpu:0')
    session = ort.InferenceSession(path.read_bytes(), options, providers=['CPUExecutionProvider'])
    (name,) = (given.name for given in session.get_inputs())
    return lambda images: session.run(None, {name: images}, each_run)


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
