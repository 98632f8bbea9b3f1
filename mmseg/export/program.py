"""From a module to PyTorch's exported program, whose sizes are symbols."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
        TypeError: a layer cannot be traced; the message names it.
    """
    axes = graph.axes
    image = _example(graph, channels, fixed)
    shapes = {axes.index(name): Dim.DYNAMIC for name, length in fixed.items() if length is None}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of PyTorch's own parts
        with _naming_the_layer(graph), _naming_the_axis(axes):
            program = torch.export.export(graph.eval(), (image,), dynamic_shapes=(shapes,), strict=False)
    (traced,) = (node for node in program.graph.nodes if node.op == 'placeholder' and node.name == 'image')
    for i in shapes:
        if isinstance(traced.meta['val'].shape[i], int):
            raise RuntimeError(f'the {axes[i]} of the exported graph is frozen to {image.shape[i]}')
    return program


@contextmanager
def _naming_the_layer(graph: nn.Module) -> Iterator[None]:
    """An error from inside of the graph's pass becomes one that says which layer raised it."""
    inside, hooks = [], []
    for name, module in graph.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda module, args, name=name: inside.append((name, module))))
        hooks.append(module.register_forward_hook(lambda module, args, output: inside.pop() and None))
    try:
        yield
    except Exception as error:
        if not inside:
            raise
        name, module = inside[-1]
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TypeError(f'{name}: {type(module).__name__} cannot be exported ({reason})') from error
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _naming_the_axis(axes: tuple[str, ...]) -> Iterator[None]:
    """PyTorch's error about an axis that was to be any becomes one that names it."""
    try:
        yield
    except Exception as error:
        frozen = r"marked L\['image'\]\.size\(\)\[(\d)\] as dynamic but .* constant \((\d+)\)"
        if not (found := re.search(frozen, str(error))):
            raise
        name, length = axes[int(found[1])], found[2]
        raise RuntimeError(f'the {name} of the exported graph would be frozen to {length}') from error


def _example(graph: nn.Module, channels: int, fixed: dict[str, int | None]) -> Tensor:
    lengths = {name: length or EXAMPLE[name] for name, length in fixed.items()} | dict(channels=channels)
    shape = [lengths[name] for name in graph.axes]
    return torch.randint(256, shape, dtype=torch.uint8) if graph.takes_bytes else torch.randn(shape)
