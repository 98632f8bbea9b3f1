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
    session = ort.InferenceSession(path.read_bytes(), options, providers=['CPUExecutionProvider'])
    (name,) = (given.name for given in session.get_inputs())
    return lambda images: session.run(None, {name: images})


RUNTIMES = {'onnx': ('onnxruntime', _onnxruntime)}
