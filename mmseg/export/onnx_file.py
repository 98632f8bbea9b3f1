"""ONNX, for onnxruntime and all that reads it."""

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from mmseg.utils.atomic_file import atomic_write

from .metadata import KEY, Metadata
from .packages import need

OPSETS = {'tensorrt': 18}
OPSET = 20  # of all others: the first with a GELU of its own
LARGE = 1024  # numbers; smaller constants stay as they are


def onnx_model(program: ExportedProgram, graph: nn.Module, fixed: dict[str, int | None], precision: str, opset: int):
    """The model with its weights inside, an ``onnx.ModelProto``.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to get it.
        RuntimeError: a batch or size that was to be any is fixed in it.
        TypeError: a layer has no form in ONNX; the message names it.
    """
    for package in ('onnx', 'onnxscript'):
        need(package)
    with contextlib.redirect_stdout(io.StringIO()), _quiet('onnxscript'):  # its progress, and what it cannot fold
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                optimize=False,
                opset_version=opset,
                input_names=graph.inputs,
                output_names=graph.outputs,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise TypeError(_unknown_to_onnx(program, str(error))) from error
        _simplify(exported.model)
    model = exported.model_proto
    _check_axes(model, graph.axes, fixed)
    if precision != 'fp32':
        _halve(model, precision)
    return model


def _simplify(model) -> None:
    """What PyTorch's ``optimize=True`` does to an ``onnx_ir.Model``, but for the rule that looks for pairs of slices.

    That one goes through the whole graph at each node, which took most of the time of an export.
    """
    from onnx_ir.passes import common as passes
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules import common as rules

    optimizer.inline(model)
    for _ in range(2):
        optimizer.fold_constants(model, onnx_shape_inference=True)
        rewriter.rewrite(model, [getattr(rules, f'{name}_rule') for name in RULES])
    for tidy in (
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.OutputFixPass(),
        passes.NameFixPass(),
    ):
        tidy(model)


RULES = (
    *('no_op_cast', 'no_op_expand', 'no_op_transpose', 'cast_cast', 'reshape_reshape', 'transpose_transpose'),
    *('unsqueeze_unsqueeze', 'squeeze_reshape_1d', 'collapse_slice', 'collapse_slice2'),
    *('materialize_reshape_shape', 'fuse_batchnorm_into_conv'),
)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Only errors of this logger."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def write_onnx(model, metadata: Metadata, path: Path) -> None:
    """Write the model to one file, with the metadata."""
    model.producer_name, model.producer_version = 'lrformer', metadata.version
    need('onnx').helper.set_model_props(model, {KEY: metadata.to_json()})
    with atomic_write(str(path)) as file:
        file.write(model.SerializeToString())


def _check_axes(model, axes: tuple[str, ...], fixed: dict[str, int | None]) -> None:
    """Each axis of the input is what was asked for, by name; and so is the batch of what comes out."""
    (image,) = model.graph.input
    for name, axis in zip(axes, image.type.tensor_type.shape.dim, strict=True):
        if name in fixed and fixed[name] is None:
            if axis.HasField('dim_value'):
                raise RuntimeError(f'the {name} of the ONNX graph is frozen to {axis.dim_value}')
            axis.dim_param = name
    for output in model.graph.output:
        axis = output.type.tensor_type.shape.dim[0]
        if fixed['batch'] is None:
            if axis.HasField('dim_value'):
                raise RuntimeError(f'the batch of the ONNX output {output.name} is frozen to {axis.dim_value}')
            axis.dim_param = 'batch'


def _unknown_to_onnx(program: ExportedProgram, message: str) -> str:
    """The error of PyTorch's exporter, with the layer that it is about where it names a node."""
    nodes = {node.name: node for node in program.graph.nodes}
    named = [nodes[name] for name in re.findall(r'%(\w+)', message) if name in nodes]
    stack = named[0].meta.get('nn_module_stack') if named else None
    if not stack:
        return f'the network has no form in ONNX: {message.strip()[:500]}'
    name, kind = list(stack.values())[-1]
    return f'{name}: {getattr(kind, "__name__", kind)} cannot be exported, its {named[0].target} has no form in ONNX'


def _halve(model, precision: str) -> None:
    """Keep constants in half precision where that loses nothing, as it does not of weights that are rounded already.

    Computation stays in float32: each is cast where it is used, which runtimes do once, when they load the file.
    """
    onnx = need('onnx')
    kind = {'fp16': onnx.TensorProto.FLOAT16, 'bf16': onnx.TensorProto.BFLOAT16}[precision]
    casts = []
    for constant in model.graph.initializer:
        if constant.data_type != onnx.TensorProto.FLOAT:
            continue
        value = torch.from_numpy(onnx.numpy_helper.to_array(constant).copy())
        half = value.to(HALVES[precision])
        if value.numel() < LARGE or not torch.equal(half.float(), value):
            continue
        name = constant.name
        constant.CopyFrom(
            onnx.TensorProto(
                name=f'{name}.half',
                data_type=kind,
                dims=value.shape,
                raw_data=half.contiguous().view(torch.uint8).numpy().tobytes(),
            )
        )
        casts.append(onnx.helper.make_node('Cast', [constant.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


HALVES = {'fp16': torch.float16, 'bf16': torch.bfloat16}
