"""From a module to PyTorch's exported program, whose sizes are symbols."""

import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

AXES = ('batch', 'height', 'width')


def trace(graph: nn.Module, image: Tensor, axes: dict[str, int], fixed: dict[str, int | None]) -> ExportedProgram:
    """Trace a graph without gradients.

    Args:
        graph: takes one tensor.
        image: an example of it.
        axes: where in the tensor its batch, height and width are.
        fixed: the length of each of these; None where any shall do.

    Raises:
        RuntimeError: PyTorch has frozen an axis that was to take any length.
    """
    shapes = {axes[name]: Dim.DYNAMIC for name in AXES if fixed[name] is None}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of PyTorch's own parts
        program = torch.export.export(graph.eval(), (image,), dynamic_shapes=(shapes,), strict=False)
    traced = next(node for node in program.graph.nodes if node.op == 'placeholder' and node.name == 'image')
    for name in AXES:
        if fixed[name] is None and isinstance(traced.meta['val'].shape[axes[name]], int):
            raise RuntimeError(f'the {name} of the exported graph is frozen to {image.shape[axes[name]]}')
    return program
