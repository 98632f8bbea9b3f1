"""Files of ``lrformer export`` at work: onnxruntime and OpenVINO in PyTorch's place, on the CPU."""

import os

SUFFIXES = {'.onnx': 'onnxruntime', '.xml': 'openvino'}  # of exported files, and which runtime takes them unless told


def is_exported(path: object) -> bool:
    """Whether a path is that of an exported file, by its suffix."""
    return isinstance(path, (str, os.PathLike)) and os.path.splitext(path)[1].lower() in SUFFIXES
