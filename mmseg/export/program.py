"""From a module to PyTorch's exported program, whose sizes are symbols."""

import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

EXAMPLE = dict(batch=2, height=160, width=224)  # lengths of axes that are not fixed, while tracing


def trace(graph: nn.Module, channels: int, fixed: dict[str, int | None]) -> ExportedProgram:
    """Trace a graph without gradients.

    Args:
        graph: :class:`.Network` or :class:`.ImageNetwork`.
        channels: of its images.
        fixed: batch, height and width; None where they shall be any.

    Raises:
        RuntimeError: PyTorch has frozen one that was to be any.
    """
    axes = graph.axes
    image = _example(graph, channels, fixed)
    shapes = {axes.index(name): Dim.DYNAMIC for name, length in fixed.items() if length is None}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of PyTorch's own parts
        program = torch.export.export(graph.eval(), (image,), dynamic_shapes=(shapes,), strict=False)
    (traced,) = (node for node in program.graph.nodes if node.op == 'placeholder' and node.name == 'image')
    for i in shapes:
        if isinstance(traced.meta['val'].shape[i], int):
            raise RuntimeError(f'the {axes[i]} of the exported graph is frozen to {image.shape[i]}')
    return program


def _example(graph: nn.Module, channels: int, fixed: dict[str, int | None]) -> Tensor:
    lengths = {name: length or EXAMPLE[name] for name, length in fixed.items()} | dict(channels=channels)
    shape = [lengths[name] for name in graph.axes]
    return torch.randint(256, shape, dtype=torch.uint8) if graph.takes_bytes else torch.randn(shape)
