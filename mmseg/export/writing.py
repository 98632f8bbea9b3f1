"""A trained model into files for other runtimes."""

import copy
from functools import cached_property
from pathlib import Path

from torch import nn
from torch.export import ExportedProgram

from .aot import write_aotinductor
from .describing import MIN_SIDE, describe, image_channels, test_pipeline
from .graph import Network
from .image_graph import ImageNetwork
from .metadata import Metadata
from .mobile import write_coreml, write_executorch
from .onnx_file import HALVES, OPSET, OPSETS, onnx_model, write_onnx
from .openvino_file import write_openvino
from .program import trace
from .torch_file import write_torch

TARGETS = {  # with the suffix of their files
    'onnx': '.onnx',
    'openvino': '.xml',
    'torch': '.pt2',
    'aotinductor': '.pt2',
    'tensorrt': '.onnx',
    'executorch': '.pte',
    'coreml': '.mlpackage',
}
FIXED_TARGETS = {  # with the axes of which they take one length
    'aotinductor': ('height', 'width'),
    'executorch': ('batch', 'height', 'width'),
    'coreml': ('batch', 'height', 'width'),
}
OUTPUTS = ('scores', 'labels', 'top1')
HALF_TARGETS = {'fp16': ('onnx', 'openvino'), 'bf16': ('onnx',)}


class Export:
    """A trained model on its way into files: traced once, whatever the number of targets.

    Args:
        model: from :func:`mmseg.apis.init_model`, on the CPU; with ``cfg`` and ``dataset_meta`` the files know classes,
            colours and pipeline.
        output: 'scores' for the network alone, from normalised images to what the head says of them; 'labels' or
            'top1' (labels and their probabilities) for the whole way from images as they are loaded. See
            :class:`.Metadata`.
        batch: number of images that the files will take; None for any.
        size: height and width that they will take; None for any.
        precision: of the weights: 'fp32'; 'fp16' or 'bf16' for files of half the size that compute in float32.

    Attributes:
        reference: the model with the weights that the files get.

    Raises:
        ValueError: an unknown output or precision, or a size that the network does not take.
        TypeError: the model has a part that cannot be exported; the message names it.
    """

    def __init__(
        self,
        model: nn.Module,
        output: str = 'scores',
        batch: int | None = None,
        size: tuple[int, int] | None = None,
        precision: str = 'fp32',
    ) -> None:
        _check_request(output, batch, size, precision)
        self.model, self.reference = model.eval(), rounded(model.eval(), precision)
        self.output, self.precision = output, precision
        height, width = size or (None, None)
        self.fixed = dict(batch=batch, height=height, width=width)
        self._onnx = {}
        if output == 'scores':
            self.graph = Network(self.reference)
        else:
            self.graph = ImageNetwork(self.reference, test_pipeline(model), with_probability=output == 'top1')

    @cached_property
    def program(self) -> ExportedProgram:
        """Raises RuntimeError where the batch or the size would be frozen against the request."""
        return trace(self.graph, image_channels(self.model), self.fixed)

    def write(self, path: str | Path, target: str, opset: int | None = None) -> Metadata:
        """Write the file for one of TARGETS; ``opset`` is ONNX's, None for the target's.

        Returns:
            What it says about itself.

        Raises:
            ValueError: an unknown target, a suffix that is not the target's, a precision that it does not have, or a
                size that it needs to be fixed.
            ModuleNotFoundError: a package is missing; the message says how to get it.
            RuntimeError: the batch or the size would be frozen against the request.
        """
        path = Path(path)
        _check_target(path, target, self.precision, self.fixed)
        opset = opset or OPSETS.get(target, OPSET)
        metadata = describe(self.model, self.output, self.fixed, target, self.precision)
        program = self.program
        path.parent.mkdir(parents=True, exist_ok=True)
        if target == 'torch':
            write_torch(program, metadata, path)
        elif target == 'executorch':
            write_executorch(program, metadata, path)
        elif target == 'coreml':
            write_coreml(program, metadata, path)
        elif target == 'aotinductor':
            write_aotinductor(program, metadata, path)
        elif target == 'openvino':
            write_openvino(self.onnx(opset), metadata, path)
        else:
            write_onnx(self.onnx(opset), metadata, path)
        return metadata

    def onnx(self, opset: int):
        """The ``onnx.ModelProto`` of the program, which several targets start from."""
        if opset not in self._onnx:
            self._onnx[opset] = onnx_model(self.program, self.graph, self.fixed, self.precision, opset)
        return self._onnx[opset]


def rounded(model: nn.Module, precision: str) -> nn.Module:
    """A copy of a model whose weights are numbers of this precision; itself for 'fp32'.

    Raises:
        ValueError: a weight is too large for it; the message names it.
    """
    if precision == 'fp32':
        return model
    model = copy.deepcopy(model)
    for name, value in model.named_parameters():
        half = value.data.to(HALVES[precision])
        if not half.isfinite().all():
            raise ValueError(f'{name} has weights of {value.abs().max():.3g}, which {precision} cannot hold: take bf16')
        value.data = half.float()
    return model


def _check_request(output: str, batch: int | None, size: tuple[int, int] | None, precision: str) -> None:
    if output not in OUTPUTS:
        raise ValueError(f'output={output!r}: it is none of {", ".join(OUTPUTS)}')
    if batch is not None and batch < 1:
        raise ValueError(f'batch={batch}: it must be 1 or more, or None for any')
    if size is not None and min(size) < MIN_SIDE:
        raise ValueError(f'size={size}: the network takes sides of {MIN_SIDE} pixels and more')
    if precision != 'fp32' and precision not in HALF_TARGETS:
        raise ValueError(f'precision={precision!r}: it is none of fp32, {", ".join(HALF_TARGETS)}')


def _check_target(path: Path, target: str, precision: str, fixed: dict[str, int | None]) -> None:
    if target not in TARGETS:
        raise ValueError(f'target={target!r}: it is none of {", ".join(TARGETS)}')
    if path.suffix != TARGETS[target]:
        raise ValueError(f'{path}: a file for {target} is named *{TARGETS[target]}')
    if any(fixed[name] is None for name in FIXED_TARGETS.get(target, ())):
        one, batch = ' and '.join(FIXED_TARGETS[target]), ' --batch 1' if 'batch' in FIXED_TARGETS[target] else ''
        raise ValueError(f'{path}: {target} compiles for one {one}: state it, as --size 512 512{batch}')
    if precision != 'fp32' and target not in HALF_TARGETS[precision]:
        known = '; '.join(f'{name} for {", ".join(targets)}' for name, targets in HALF_TARGETS.items())
        raise ValueError(f'precision={precision!r} for {target}: there is fp32 for all, {known}')
