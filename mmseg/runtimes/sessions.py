"""An exported network in a runtime: arrays in, arrays out. The runtimes are imported when they are needed."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch

from mmseg.export.metadata import KEY, Metadata
from mmseg.export.packages import need

from . import SUFFIXES


class Session(Protocol):
    """A network that is ready to run; several threads may share it.

    Attributes:
        metadata: what the file says about itself.
    """

    metadata: Metadata

    def run(self, inputs: np.ndarray) -> Sequence[np.ndarray]:
        """A batch as the metadata say -> the outputs, in the file's order."""


class OnnxRuntimeSession:
    def __init__(self, file: Path, threads: int) -> None:
        onnxruntime = need('onnxruntime')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        options.enable_mem_pattern = False  # it keeps a plan for each size of image
        # Threads that wait for more would take the cores from what PyTorch does between two images.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        content = file.read_bytes()  # given as bytes, a file cannot bring others in
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
        except Exception as error:  # each cause has a class of its own, and they share no other
            raise _unreadable(file, 'onnxruntime', error) from error
        self.metadata = Metadata.from_json(self._session.get_modelmeta().custom_metadata_map.get(KEY), str(file))
        self._input = self._session.get_inputs()[0].name
        self._options = onnxruntime.RunOptions()  # memory is kept for the next map, not for the next image
        self._options.add_run_config_entry('memory.enable_memory_arena_shrinkage', 'cpu:0')

    def run(self, inputs: np.ndarray) -> Sequence[np.ndarray]:
        return self._session.run(None, {self._input: inputs}, self._options)


@cache
def openvino_core(openvino: ModuleType):
    """OpenVINO's one core in this process.

    Its plugin gives the thread that loads it another stack for signals, and takes it back when the core ends, whatever
    thread that is and whatever stack that has by then: after a second core, the next signal, such as that of a child
    process that ends, could end Python. So there is one core, and what loads the plugin is a thread that ends at once.
    """
    core = openvino.Core()
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(core.get_versions, 'CPU').result()
    return core


class OpenVinoSession:
    def __init__(self, file: Path, threads: int) -> None:
        core = openvino_core(need('openvino'))
        try:
            model = core.read_model(file)
        except Exception as error:
            raise _unreadable(file, 'openvino', error) from error
        self.metadata = Metadata.from_json(_entry(model), str(file))
        settings = dict(INFERENCE_NUM_THREADS=threads, PERFORMANCE_HINT='LATENCY')
        if self.metadata.precision != 'int8':  # there, what is not in bytes may be in bfloat16
            settings['INFERENCE_PRECISION_HINT'] = 'f32'
        try:
            self._compiled = core.compile_model(model, 'CPU', settings)
        except Exception as error:
            raise _unreadable(file, 'openvino', error) from error
        self._requests = threading.local()  # one of them does one thing at a time

    def run(self, inputs: np.ndarray) -> Sequence[np.ndarray]:
        if not hasattr(self._requests, 'own'):
            self._requests.own = self._compiled.create_infer_request()
        return list(self._requests.own.infer([inputs]).values())


_sessions: WeakValueDictionary[tuple, Session] = WeakValueDictionary()  # those in use, of which each is opened once
BACKENDS: dict[str, type[OnnxRuntimeSession | OpenVinoSession]] = dict(
    onnxruntime=OnnxRuntimeSession, openvino=OpenVinoSession
)


def open_session(file: str | Path, backend: str | None = None) -> Session:
    """A file of ``lrformer export`` in a runtime, with as many threads as PyTorch has.

    Args:
        file: the file.
        backend: 'onnxruntime' or 'openvino', which reads both kinds; None for the one that belongs to the suffix.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ModuleNotFoundError: the runtime is not installed.
        ValueError: it is no exported file, damaged, or of a format that this version does not know; or ``backend`` is
            none, or cannot read it.
    """
    file = Path(file)
    usual = SUFFIXES.get(file.suffix.lower())
    if usual is None:
        raise ValueError(f'{file}: a file of `lrformer export` that runs here is named *{" or *".join(SUFFIXES)}')
    backend = backend or usual
    if backend not in BACKENDS:
        raise ValueError(f'backend={backend!r} is none of {", ".join(BACKENDS)}')
    if backend == 'onnxruntime' != usual:
        raise ValueError(f'{file}: onnxruntime reads .onnx files alone; take backend={usual!r}')
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist')
    state = file.stat()
    key = (file.resolve(), state.st_mtime_ns, state.st_size, backend, torch.get_num_threads())
    session = _sessions.get(key)
    if session is None:
        session = _sessions[key] = BACKENDS[backend](file, torch.get_num_threads())
    return session


def _unreadable(file: Path, runtime: str, error: Exception) -> ValueError:
    reason = str(error).strip().splitlines()[-1]
    return ValueError(f'{file}: {runtime} cannot read it: cut off, damaged, or no such file at all ({reason})')


def _entry(model) -> str | None:
    """The metadata of an OpenVINO model, which has what stood in an ONNX file under 'framework'."""
    for path in ([KEY], ['framework', KEY]):
        if model.has_rt_info(path):
            return model.get_rt_info(path).astype(str)
    return None
