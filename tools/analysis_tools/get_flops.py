"""Counts a config's multiply-adds and parameters, without data, weights or a GPU.

    python tools/analysis_tools/get_flops.py configs_local/lrformer/lrformer-t-160k_ade20k.py --shape 512 512

One multiply-add counts as one, as in papers. Convolutions and matrix products count, attention's and
einsum's included, and the samples of deformable attention, at one for each of the four cells that a sample reads;
norms, activations, pooling and resizing do not.
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmseg.engine.launch import load_config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules


def embedding_bag_flops(table, row, *args, out_val, **kwargs) -> int:
    """Two operations for each row that is read, and each of its channels."""
    return 2 * row.numel() * table.shape[1]


embedding_bag_flops._get_raw = True  # tensors, not their shapes
SAMPLING = {
    torch.ops.aten._embedding_bag: embedding_bag_flops,
    torch.ops.aten._embedding_bag_forward_only: embedding_bag_flops,
}


def count(model: nn.Module, shape: tuple[int, int]) -> dict[str, float]:
    """Multiply-adds by module name ('' is the whole model) for one image of H x W, on any device."""
    counter = FlopCounterMode(display=False, depth=None, custom_mapping=SAMPLING)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--shape', type=int, nargs='+', default=[512, 512], metavar=('H', 'W'), help='one or two sides')
    parser.add_argument('--depth', type=int, default=2, help='levels of modules in the table')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='values to change in the config',
    )
    args = parser.parse_args()
    shape = tuple(args.shape * 2 if len(args.shape) == 1 else args.shape)
    if len(shape) != 2:
        parser.error(f'--shape takes one or two numbers, not {args.shape}')

    register_all_modules()
    cfg = load_config(args.config, args.cfg_options)
    with torch.device('meta'):  # shapes only
        model = MODELS.build(cfg.model).eval()
    macs = count(model, shape)
    console = Console(width=100)
    console.print(table(model, macs, args.depth))
    parameters = sum(p.numel() for p in model.parameters())
    console.print(f'{args.config} at {shape[0]}x{shape[1]}: {macs[""] / 1e9:.1f} GMACs, {parameters:,} parameters')


if __name__ == '__main__':
    main()
