"""Multiply-adds and parameters, by module.

One multiply-add counts as one, as in papers. Convolutions and matrix products count, attention's and
einsum's included, and the samples of deformable attention, at one for each of the four cells that a sample reads;
norms, activations, pooling and resizing do not.
"""

import math
from collections.abc import Callable

import torch
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def embedding_bag_flops(table, row, *args, out_val, **kwargs) -> int:
    """Two operations for each row that is read, and each of its channels."""
    return 2 * row.numel() * table.shape[1]


embedding_bag_flops._get_raw = True  # type: ignore[attr-defined] # tensors, not their shapes


def linear_flops(x_shape, weight_shape, *args, out_shape, **kwargs) -> int:
    return 2 * math.prod(x_shape) * weight_shape[0]


UNKNOWN_TO_TORCH: dict[object, Callable[..., int]] = {
    torch.ops.aten._embedding_bag: embedding_bag_flops,
    torch.ops.aten._embedding_bag_forward_only: embedding_bag_flops,
    torch.ops.mkldnn._linear_pointwise: linear_flops,
}


def count(model: nn.Module, shape: tuple[int, int]) -> dict[str, float]:
    """Multiply-adds by module name ('' is the whole model) for one image of H x W, on any device."""
    counter = FlopCounterMode(display=False, custom_mapping=UNKNOWN_TO_TORCH)
    device = next(model.parameters()).device
    channels = next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 3)  # of the stem
    model.requires_grad_(False)  # torch's counter trips over parameters that modules pass on
    with counter, torch.no_grad():
        model(torch.zeros(1, channels, *shape, device=device), mode='tensor')
    root = type(model).__name__
    called = {name: sum(ops.values()) / 2 for name, ops in counter.get_flop_counts().items() if name != 'Global'}
    called = {name.removeprefix(root).removeprefix('.'): total for name, total in called.items()}

    def total(name: str, module: nn.Module) -> float:
        if name in called:
            return called[name]
        return sum(total(f'{name}.{child}', part) for child, part in module.named_children())  # a list of modules

    return {name: total(name, module) for name, module in model.named_modules()}


def table(model: nn.Module, macs: dict[str, float], depth: int) -> Table:
    """Parameters and :func:`count` of all modules down to a depth, of which 1 is the model's own parts."""
    rows = Table('module', title=None)
    for heading in ('parameters', 'multiply-adds', 'share'):
        rows.add_column(heading, justify='right')
    for name, module in model.named_modules():
        parameters = sum(p.numel() for p in module.parameters())
        if name.count('.') < depth and parameters:
            total = macs[name]
            label = name or type(model).__name__
            rows.add_row(label, f'{parameters / 1e6:.2f} M', f'{total / 1e9:.2f} G', f'{total / macs[""]:.1%}')
    return rows
